#include "tasks/text/text.h"

#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "tasks/text/read_file.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

class TextMetrics final : public MetricAccumulator {
 public:
  void add(const Tensor&, const Batch& batch, double loss_sum) override {
    for (const std::int64_t target : batch.targets.to_vector<std::int64_t>()) {
      bytes_ += target == kIgnored ? 0 : 1;
    }
    nats_ += loss_sum;
  }
  std::vector<Metric> result() const override {
    return {{"bits per byte", nats_ / static_cast<double>(bytes_) / std::numbers::ln2}};
  }

 private:
  double nats_ = 0;
  std::int64_t bytes_ = 0;
};

class Text final : public Task {
 public:
  Text(std::vector<std::uint8_t> bytes, std::int64_t length)
      : bytes_(std::move(bytes)),
        length_(length),
        train_bytes_(static_cast<std::int64_t>(bytes_.size()) -
                     static_cast<std::int64_t>(bytes_.size()) / 10) {}

  std::string name() const override { return "text"; }
  std::int64_t vocabulary() const override { return 256; }
  std::int64_t length() const override { return length_; }

  std::int64_t examples(Split split) const override {
    const std::int64_t targets = size_of_part(split) - 1;
    return split == Split::train ? targets / length_ : (targets + length_ - 1) / length_;
  }

  Batch batch(Split split, std::span<const std::int64_t> numbers) const override {
    const std::int64_t first = split == Split::train ? 0 : train_bytes_;
    const std::int64_t end = first + size_of_part(split);
    std::vector<std::int64_t> tokens;
    std::vector<std::int64_t> targets;
    for (const std::int64_t number : numbers) {
      if (number < 0 || number >= examples(split)) {
        fail("[text] there is no {} example {}", name_of(split), number);
      }
      for (std::int64_t n = 0; n < length_; ++n) {
        const std::int64_t at = first + number * length_ + n;
        // Beyond the end there is nothing to predict; the byte shown there comes after every byte
        // that counts, and a causal model cannot look at it.
        tokens.push_back(at < end ? bytes_[static_cast<std::size_t>(at)] : 0);
        targets.push_back(at + 1 < end ? bytes_[static_cast<std::size_t>(at + 1)] : kIgnored);
      }
    }
    const Shape shape = {static_cast<std::int64_t>(numbers.size()), length_};
    return {Tensor::from<std::int64_t>(shape, tokens), Tensor::from<std::int64_t>(shape, targets),
            Tensor()};
  }

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<TextMetrics>();
  }
  std::string metric_name() const override { return "bits per byte"; }
  bool higher_is_better() const override { return false; }

  // A uniform guess, and the byte frequencies of the training part (each counted once more, so that
  // none is impossible) applied to the held-back part.
  std::vector<Metric> baselines() const override {
    std::array<double, 256> count;
    count.fill(1.0);
    for (std::int64_t n = 0; n < train_bytes_; ++n) {
      count[bytes_[static_cast<std::size_t>(n)]] += 1.0;
    }
    const double total = static_cast<double>(train_bytes_) + 256.0;
    double bits = 0;
    for (std::size_t n = static_cast<std::size_t>(train_bytes_) + 1; n < bytes_.size(); ++n) {
      bits -= std::log2(count[bytes_[n]] / total);
    }
    const auto predicted =
        static_cast<double>(static_cast<std::int64_t>(bytes_.size()) - train_bytes_ - 1);
    return {{"chance", 8.0}, {"byte frequencies", bits / predicted}};
  }

 private:
  std::int64_t size_of_part(Split split) const {
    return split == Split::train ? train_bytes_
                                 : static_cast<std::int64_t>(bytes_.size()) - train_bytes_;
  }

  std::vector<std::uint8_t> bytes_;
  std::int64_t length_, train_bytes_;
};

}  // namespace

std::unique_ptr<Task> make_text(const TaskOptions& options) {
  if (options.length < 1) {
    fail("the length of the task 'text' must be positive; got {}", options.length);
  }
  std::vector<std::uint8_t> bytes = read_file(options.data);
  const std::int64_t size = static_cast<std::int64_t>(bytes.size());
  auto task = std::make_unique<Text>(std::move(bytes), options.length);
  if (task->examples(Split::train) < 1 || size / 10 < 2) {
    throw FileError(
        fmt::format("{} has {} bytes, too few for one training chunk of {} bytes and a "
                    "held-back tenth; use a longer file or a shorter length",
                    options.data, size, options.length + 1));
  }
  return task;
}

}  // namespace basin::tasks

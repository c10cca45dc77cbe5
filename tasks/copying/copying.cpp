#include "tasks/copying/copying.h"

#include <vector>

#include "kernels/common/philox.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace basin::tasks {

namespace {

constexpr std::int64_t kTrainExamples = 100000;
constexpr std::int64_t kHeldBackExamples = 10000;

class CopyingMetrics final : public MetricAccumulator {
 public:
  explicit CopyingMetrics(std::int64_t symbols) : hits_(static_cast<std::size_t>(symbols), 0) {}

  void add(const Tensor& tokens, const Batch& batch, double) override {
    const std::vector<std::int64_t> predicted = tokens.to_vector<std::int64_t>();
    const std::vector<std::int64_t> wanted = batch.targets.to_vector<std::int64_t>();
    const auto length = static_cast<std::size_t>(batch.targets.size(1));
    const std::size_t first = length - hits_.size();  // prefix and marker come before
    for (std::size_t start = 0; start < wanted.size(); start += length) {
      bool all = true;
      for (std::size_t n = 0; n < hits_.size(); ++n) {
        const bool hit = predicted[start + first + n] == wanted[start + first + n];
        hits_[n] += hit ? 1 : 0;
        all = all && hit;
      }
      exact_ += all ? 1 : 0;
      ++examples_;
    }
  }

  std::vector<Metric> result() const override {
    std::int64_t total = 0;
    for (const std::int64_t hits : hits_) {
      total += hits;
    }
    const double examples = static_cast<double>(examples_);
    const double symbols = static_cast<double>(hits_.size());
    return {{"second-half token accuracy", static_cast<double>(total) / (examples * symbols)},
            {"exact-sequence rate", static_cast<double>(exact_) / examples},
            {"accuracy at the first position", static_cast<double>(hits_.front()) / examples},
            {"accuracy at the last position", static_cast<double>(hits_.back()) / examples}};
  }

 private:
  std::vector<std::int64_t> hits_;
  std::int64_t exact_ = 0;
  std::int64_t examples_ = 0;
};

class Copying final : public Task {
 public:
  Copying(std::int64_t length, std::int64_t vocabulary, std::uint64_t seed)
      : length_(length), vocabulary_(vocabulary), seed_(seed) {}

  std::string name() const override { return "copying"; }
  std::int64_t vocabulary() const override { return vocabulary_; }
  std::int64_t length() const override { return length_ - 1; }
  std::int64_t examples(Split split) const override {
    return split == Split::train ? kTrainExamples : kHeldBackExamples;
  }

  Batch batch(Split split, std::span<const std::int64_t> numbers) const override {
    const std::int64_t prefix = length_ / 2 - 1;
    const auto symbols = static_cast<std::uint64_t>(vocabulary_ - 2);
    const std::int64_t marker = vocabulary_ - 2;
    const std::int64_t padding = vocabulary_ - 1;
    // Splits have keys of their own, so that no example is in two of them by construction.
    const std::uint64_t key =
        kernels::derive_key(seed_, 0xC0B1 + static_cast<std::uint64_t>(split));
    std::vector<std::int64_t> tokens;
    std::vector<std::int64_t> targets;
    std::vector<std::int64_t> sources;
    for (const std::int64_t number : numbers) {
      if (number < 0 || number >= examples(split)) {
        fail("[copying] there is no {} example {}", name_of(split), number);
      }
      for (std::int64_t n = 0; n < prefix; ++n) {
        tokens.push_back(static_cast<std::int64_t>(uniform_index(
            key, static_cast<std::uint64_t>(number), static_cast<std::uint64_t>(n), symbols)));
      }
      targets.insert(targets.end(), static_cast<std::size_t>(prefix + 1), kIgnored);
      targets.insert(targets.end(), tokens.end() - prefix, tokens.end());
      sources.insert(sources.end(), static_cast<std::size_t>(prefix + 1), -1);
      for (std::int64_t n = 0; n < prefix; ++n) {
        sources.push_back(n);
      }
      tokens.push_back(marker);
      tokens.insert(tokens.end(), static_cast<std::size_t>(prefix), padding);
    }
    const Shape shape = {static_cast<std::int64_t>(numbers.size()), length()};
    return {Tensor::from<std::int64_t>(shape, tokens), Tensor::from<std::int64_t>(shape, targets),
            Tensor(), Tensor(), Tensor::from<std::int64_t>(shape, sources)};
  }

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<CopyingMetrics>(length_ / 2 - 1);
  }
  std::string metric_name() const override { return "second-half token accuracy"; }
  bool higher_is_better() const override { return true; }
  std::vector<Metric> baselines() const override {
    return {{"chance", 1.0 / static_cast<double>(vocabulary_ - 2)}};
  }

 private:
  std::int64_t length_, vocabulary_;
  std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<Task> make_copying(const TaskOptions& options) {
  if (options.length < 4 || options.length % 2 != 0) {
    fail("the length of the task 'copying' must be even and at least 4; got {}", options.length);
  }
  if (options.vocabulary < 4) {
    fail(
        "the vocabulary of the task 'copying' must be at least 4 (two symbols, marker and "
        "padding); "
        "got {}",
        options.vocabulary);
  }
  return std::make_unique<Copying>(options.length, options.vocabulary, options.seed);
}

}  // namespace basin::tasks

// A task of seven examples whose numbers of targets differ, so that a mean over batches is not the
// mean over targets; it records what it was asked for.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tasks/task.h"
#include "tests/support/small_models.h"

namespace basin::test {

class CountedTask final : public tasks::Task {
 public:
  static constexpr std::int64_t kExamples = 7;
  static constexpr std::int64_t kLength = 6;

  std::string name() const override { return "counted"; }
  std::int64_t vocabulary() const override { return 11; }
  std::int64_t length() const override { return kLength; }
  std::int64_t examples(tasks::Split) const override { return kExamples; }

  /// Example n has n % kLength + 1 targets, at its end.
  tasks::Batch batch(tasks::Split, std::span<const std::int64_t> numbers) const override {
    asked.insert(asked.end(), numbers.begin(), numbers.end());
    batch_sizes.push_back(static_cast<std::int64_t>(numbers.size()));
    std::vector<std::int64_t> tokens;
    std::vector<std::int64_t> targets;
    for (const std::int64_t number : numbers) {
      for (const std::int64_t id : random_tokens(1, kLength, 11, static_cast<std::uint64_t>(number))
                                       .to_vector<std::int64_t>()) {
        const auto place = static_cast<std::int64_t>(tokens.size()) % kLength;
        tokens.push_back(id);
        targets.push_back(place < kLength - targets_of(number) ? tasks::kIgnored : (id + 1) % 11);
      }
    }
    const Shape shape = {static_cast<std::int64_t>(numbers.size()), kLength};
    return {Tensor::from<std::int64_t>(shape, tokens), Tensor::from<std::int64_t>(shape, targets),
            Tensor()};
  }
  static std::int64_t targets_of(std::int64_t number) { return number % kLength + 1; }

  std::unique_ptr<tasks::MetricAccumulator> metrics() const override {
    return std::make_unique<Sum>();
  }
  std::string metric_name() const override { return "loss sum"; }
  bool higher_is_better() const override { return false; }
  std::vector<tasks::Metric> baselines() const override { return {{"chance", 0.0}}; }

  mutable std::vector<std::int64_t> asked;
  mutable std::vector<std::int64_t> batch_sizes;

 private:
  class Sum final : public tasks::MetricAccumulator {
   public:
    void add(const Tensor& predicted, const tasks::Batch& batch, double loss_sum) override {
      sum_ += loss_sum;
      rows_ +=
          predicted.shape() == batch.tokens.shape() ? static_cast<double>(predicted.size(0)) : 0.0;
    }
    std::vector<tasks::Metric> result() const override {
      return {{"loss sum", sum_}, {"rows", rows_}};
    }

   private:
    double sum_ = 0;
    double rows_ = 0;
  };
};

}  // namespace basin::test

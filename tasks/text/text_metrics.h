// How predictions of text are judged.
#pragma once

#include "tasks/task.h"

namespace basin::tasks {

/// "bits per byte" (of the text that the counted targets stand for, so that models with different
/// tokenizers can be compared), "bits per token" and "token accuracy" (how often the most probable
/// token is the right one). Reads Batch::bytes.
class TextMetrics final : public MetricAccumulator {
 public:
  void add(const Tensor& tokens, const Batch& batch, double loss_sum) override;
  std::vector<Metric> result() const override;

 private:
  double nats_ = 0;
  std::int64_t bytes_ = 0, tokens_ = 0, hits_ = 0;
};

}  // namespace basin::tasks

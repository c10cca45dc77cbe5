#include "tasks/text/text_metrics.h"

#include <numbers>

namespace basin::tasks {

void TextMetrics::add(const Tensor& tokens, const Batch& batch, double loss_sum) {
  const std::vector<std::int64_t> predicted = tokens.to_vector<std::int64_t>();
  const std::vector<std::int64_t> targets = batch.targets.to_vector<std::int64_t>();
  const std::vector<std::int64_t> bytes = batch.bytes.to_vector<std::int64_t>();
  for (std::size_t n = 0; n < targets.size(); ++n) {
    if (targets[n] != kIgnored) {
      bytes_ += bytes[n];
      ++tokens_;
      hits_ += predicted[n] == targets[n] ? 1 : 0;
    }
  }
  nats_ += loss_sum;
}

std::vector<Metric> TextMetrics::result() const {
  const double bits = nats_ / std::numbers::ln2;
  return {{"bits per byte", nats_ / static_cast<double>(bytes_) / std::numbers::ln2},
          {"bits per token", bits / static_cast<double>(tokens_)},
          {"token accuracy", static_cast<double>(hits_) / static_cast<double>(tokens_)}};
}

}  // namespace basin::tasks

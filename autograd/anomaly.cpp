#include "autograd/anomaly.h"

#include <cmath>
#include <utility>

namespace basin {

namespace {
thread_local bool watching = false;
}

AnomalyMode::AnomalyMode() : previous_(std::exchange(watching, true)) {}
AnomalyMode::~AnomalyMode() { watching = previous_; }

bool is_watching_for_anomalies() { return watching; }

void check_anomaly(const char* name, const char* what, const Tensor& tensor,
                   const std::vector<Variable>& inputs) {
  if (!watching || !tensor.defined() || !is_floating(tensor.dtype())) {
    return;
  }
  const std::vector<double> values = tensor.to_vector<double>();
  for (std::size_t n = 0; n < values.size(); ++n) {
    if (!std::isfinite(values[n])) {
      throw AnomalyError(
          fmt::format(
              "the operation '{}' made the first value that is not finite: {} at element {} of "
              "{}, {}",
              name, values[n], n, what, describe(tensor)),
          inputs);
    }
  }
}

}  // namespace basin

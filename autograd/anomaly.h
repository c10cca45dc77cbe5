// Finding the operation that made the first NaN.
#pragma once

#include <string>
#include <vector>

#include "autograd/variable.h"
#include "tensor/error.h"

namespace basin {

/// A value that is not finite was found.
class AnomalyError : public Error {
 public:
  AnomalyError(const std::string& message, std::vector<Variable> inputs)
      : Error(message), inputs_(std::move(inputs)) {}
  /// Of the operation that made it.
  const std::vector<Variable>& inputs() const { return inputs_; }

 private:
  std::vector<Variable> inputs_;
};

/// While one is alive on this thread, every recorded value and every gradient is looked through,
/// and the first NaN or infinity throws AnomalyError naming the operation, the pass and the
/// element. Slow: every result is read once more.
class AnomalyMode {
 public:
  AnomalyMode();
  ~AnomalyMode();
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;

 private:
  bool previous_;
};

/// Whether one is alive on this thread.
bool is_watching_for_anomalies();

/// Throws if anomaly mode is on and `tensor` (if defined and floating) is not finite everywhere.
/// `what` is where it is: "its result"; `inputs` are those of the operation.
void check_anomaly(const char* name, const char* what, const Tensor& tensor,
                   const std::vector<Variable>& inputs);

}  // namespace basin

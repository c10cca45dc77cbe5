// Finding the operation that made the first NaN.
#pragma once

#include "tensor/tensor.h"

namespace basin {

/// While one is alive on this thread, every recorded value and every gradient is looked through,
/// and the first NaN or infinity throws Error naming the operation, the pass and the element. Slow:
/// every result is read once more.
class AnomalyMode {
 public:
  AnomalyMode();
  ~AnomalyMode();
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;

 private:
  bool previous_;
};

/// Throws if anomaly mode is on and `tensor` (if defined and floating) is not finite everywhere.
/// `what` completes "the operation 'name' made ... in its ...".
void check_anomaly(const char* name, const char* what, const Tensor& tensor);

}  // namespace basin

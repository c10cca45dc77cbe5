// One AdamW update (I. Loshchilov, F. Hutter 2019) of one parameter array, or of many.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// g = gradient_scale gradient; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
/// p = p (1 - lr weight_decay) - lr (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps).
/// with `decoupled` off (Adam, D. Kingma, J. Ba 2015) the decay is weight_decay p, added to g
/// instead. step counts from 1. All arrays contiguous with `count` elements of `dtype`.
struct AdamW {
  void* parameter;
  const void* gradient;
  void* m;
  void* v;
  std::int64_t count;
  std::int64_t step;
  double lr, beta1, beta2, eps, weight_decay;
  double gradient_scale;
  DType dtype;
  bool decoupled = true;
  /// Where the arrays lie; so that no step on a GPU waits for the host. Unless null, gradient_scale
  /// is multiplied by this number, and nothing is changed if it is not finite (see clip.h).
  const double* gradient_scale_pointer = nullptr;
  /// The same; unless null, it holds the step, and `step` is not looked at.
  const std::int64_t* step_pointer = nullptr;
  /// The same for lr.
  const double* lr_pointer = nullptr;
};
Status adamw(const AdamW&, const CpuContext&);
Status adamw(const AdamW&, const SimtContext&);
Status adamw(const AdamW&, const CudaContext&);

/// What belongs to one parameter.
struct AdamWArrays {
  void* parameter;
  const void* gradient;
  void* m;
  void* v;
  std::int64_t count;
};

/// The same step for many parameters, on a GPU 64 of them in a launch. `arrays` is read before the
/// call returns and lies in the memory of the host. `by` has the numbers of the step; its own
/// arrays and count are not looked at.
struct AdamWList {
  const AdamWArrays* arrays;
  std::int64_t array_count;
  AdamW by;
};
Status adamw(const AdamWList&, const CpuContext&);
Status adamw(const AdamWList&, const SimtContext&);
Status adamw(const AdamWList&, const CudaContext&);

}  // namespace basin::kernels

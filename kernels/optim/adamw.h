// One AdamW update (I. Loshchilov, F. Hutter 2019) of one parameter array.
#pragma once

#include <cstdint>

#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/common/thread_pool.h"

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
};
Status adamw(const AdamW&, const CpuContext&);

}  // namespace basin::kernels

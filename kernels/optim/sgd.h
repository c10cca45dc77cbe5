// One step of stochastic gradient descent with momentum, for one parameter array.
#pragma once

#include <cstdint>

#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/common/thread_pool.h"

namespace basin::kernels {

/// g = gradient_scale gradient + weight_decay p; u = momentum u + g, from u = 0; p = p - lr d with
/// d = g + momentum u in Nesterov's form, else d = u (B. Polyak 1964; Y. Nesterov 1983, as I.
/// Sutskever et al. 2013 write it). All arrays contiguous with `count` elements of `dtype`.
struct Sgd {
  void* parameter;
  const void* gradient;
  void* u;
  std::int64_t count;
  double lr, momentum;
  bool nesterov;
  double weight_decay;
  double gradient_scale;
  DType dtype;
};
Status sgd(const Sgd&, const CpuContext&);

}  // namespace basin::kernels

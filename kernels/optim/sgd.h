// One step of stochastic gradient descent with momentum, for one parameter array or many.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

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
  /// As in adamw.h: unless null, a factor of gradient_scale that lies where the arrays lie; nothing
  /// is changed if it is not finite.
  const double* gradient_scale_pointer = nullptr;
  /// The same; unless null, it holds lr, and `lr` is not looked at.
  const double* lr_pointer = nullptr;
};
Status sgd(const Sgd&, const CpuContext&);
Status sgd(const Sgd&, const SimtContext&);
Status sgd(const Sgd&, const CudaContext&);

/// What belongs to one parameter.
struct SgdArrays {
  void* parameter;
  const void* gradient;
  void* u;
  std::int64_t count;
};

/// The same step for many parameters; see AdamWList.
struct SgdList {
  const SgdArrays* arrays;
  std::int64_t array_count;
  Sgd by;
};
Status sgd(const SgdList&, const CpuContext&);
Status sgd(const SgdList&, const SimtContext&);
Status sgd(const SgdList&, const CudaContext&);

}  // namespace basin::kernels

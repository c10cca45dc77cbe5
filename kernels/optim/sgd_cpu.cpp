#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/optim/sgd.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optim/sgd_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// Numbers by value: see adamw_cpu.cpp.
template <class T, bool kNesterov>
void update(T* parameter, const T* gradient, T* u, std::int64_t count, T scale, T decay, T rate,
            T momentum) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T g = scale * gradient[i] + decay * parameter[i];
    u[i] = momentum * u[i] + g;
    parameter[i] -= rate * (kNesterov ? g + momentum * u[i] : u[i]);
  }
}

Status sgd_target(const Sgd& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const auto run = p.nesterov ? update<T, true> : update<T, false>;
    for_ranges(context, p.count, 16384, [&](std::int64_t begin, std::int64_t end) {
      run(static_cast<T*>(p.parameter) + begin, static_cast<const T*>(p.gradient) + begin,
          static_cast<T*>(p.u) + begin, end - begin, static_cast<T>(p.gradient_scale),
          static_cast<T>(p.weight_decay), static_cast<T>(p.lr), static_cast<T>(p.momentum));
    });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(sgd_target);

Status sgd(const Sgd& given, const CpuContext& context) {
  Sgd p = given;
  if (p.gradient_scale_pointer != nullptr) {
    if (!std::isfinite(*p.gradient_scale_pointer)) {
      return {};
    }
    p.gradient_scale *= *p.gradient_scale_pointer;
  }
  if (p.lr_pointer != nullptr) {
    p.lr = *p.lr_pointer;
  }
  return HWY_DYNAMIC_DISPATCH(sgd_target)(p, context);
}

Status sgd(const SgdList& p, const CpuContext& context) {
  Status status;
  for (std::int64_t n = 0; status.ok() && n < p.array_count; ++n) {
    const SgdArrays& arrays = p.arrays[n];
    Sgd one = p.by;
    one.parameter = arrays.parameter;
    one.gradient = arrays.gradient;
    one.u = arrays.u;
    one.count = arrays.count;
    status = sgd(one, context);
  }
  return status;
}

}  // namespace basin::kernels
#endif

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

Status sgd_target(const Sgd& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    T* parameter = static_cast<T*>(p.parameter);
    const T* gradient = static_cast<const T*>(p.gradient);
    T* u = static_cast<T*>(p.u);
    const T scale = static_cast<T>(p.gradient_scale);
    const T decay = static_cast<T>(p.weight_decay);
    const T rate = static_cast<T>(p.lr);
    const T momentum = static_cast<T>(p.momentum);
    for_ranges(context, p.count, 16384, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T g = scale * gradient[i] + decay * parameter[i];
        u[i] = momentum * u[i] + g;
        parameter[i] -= rate * (p.nesterov ? g + momentum * u[i] : u[i]);
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(sgd_target);

Status sgd(const Sgd& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(sgd_target)(p, context);
}

}  // namespace basin::kernels
#endif

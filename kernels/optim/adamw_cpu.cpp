#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/optim/adamw.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optim/adamw_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

Status adamw_target(const AdamW& p, const CpuContext& context) {
  if (p.step < 1) {
    return Status::invalid("adamw: steps count from 1");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    T* parameter = static_cast<T*>(p.parameter);
    const T* gradient = static_cast<const T*>(p.gradient);
    T* m = static_cast<T*>(p.m);
    T* v = static_cast<T*>(p.v);
    const double step = static_cast<double>(p.step);
    const T scale = static_cast<T>(p.gradient_scale);
    const T beta1 = static_cast<T>(p.beta1);
    const T beta2 = static_cast<T>(p.beta2);
    const T rest1 = static_cast<T>(1.0 - p.beta1);
    const T rest2 = static_cast<T>(1.0 - p.beta2);
    const T decay = static_cast<T>(p.decoupled ? 1.0 - p.lr * p.weight_decay : 1.0);
    const T added = static_cast<T>(p.decoupled ? 0.0 : p.weight_decay);
    const T rate = static_cast<T>(p.lr / (1.0 - std::pow(p.beta1, step)));
    const T root = static_cast<T>(1.0 / std::sqrt(1.0 - std::pow(p.beta2, step)));
    const T eps = static_cast<T>(p.eps);
    for_ranges(context, p.count, 16384, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T g = scale * gradient[i] + added * parameter[i];
        m[i] = beta1 * m[i] + rest1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
        parameter[i] = decay * parameter[i] - rate * m[i] / (std::sqrt(v[i]) * root + eps);
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(adamw_target);

Status adamw(const AdamW& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(adamw_target)(p, context);
}

}  // namespace basin::kernels
#endif

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

// One step's numbers. Passed by value: a store to an array could otherwise change a number that is
// read through a reference, and the loop would not be vectorised.
template <class T>
struct Rates {
  T scale, beta1, beta2, rest1, rest2, decay, added, rate, root, eps;

  explicit Rates(const AdamW& p)
      : scale(static_cast<T>(p.gradient_scale)),
        beta1(static_cast<T>(p.beta1)),
        beta2(static_cast<T>(p.beta2)),
        rest1(static_cast<T>(1.0 - p.beta1)),
        rest2(static_cast<T>(1.0 - p.beta2)),
        decay(static_cast<T>(p.decoupled ? 1.0 - p.lr * p.weight_decay : 1.0)),
        added(static_cast<T>(p.decoupled ? 0.0 : p.weight_decay)),
        rate(static_cast<T>(p.lr / (1.0 - std::pow(p.beta1, static_cast<double>(p.step))))),
        root(static_cast<T>(1.0 / std::sqrt(1.0 - std::pow(p.beta2, static_cast<double>(p.step))))),
        eps(static_cast<T>(p.eps)) {}
};

template <class T>
void update(T* parameter, const T* gradient, T* m, T* v, std::int64_t count, const Rates<T> by) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T g = by.scale * gradient[i] + by.added * parameter[i];
    m[i] = by.beta1 * m[i] + by.rest1 * g;
    v[i] = by.beta2 * v[i] + by.rest2 * g * g;
    parameter[i] = by.decay * parameter[i] - by.rate * m[i] / (std::sqrt(v[i]) * by.root + by.eps);
  }
}

Status adamw_target(const AdamW& p, const CpuContext& context) {
  if (p.step < 1) {
    return Status::invalid("adamw: steps count from 1");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const Rates<T> rates(p);
    for_ranges(context, p.count, 16384, [&](std::int64_t begin, std::int64_t end) {
      update(static_cast<T*>(p.parameter) + begin, static_cast<const T*>(p.gradient) + begin,
             static_cast<T*>(p.m) + begin, static_cast<T*>(p.v) + begin, end - begin, rates);
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

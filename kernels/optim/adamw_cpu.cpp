#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/optim/adamw_rates.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optim/adamw_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// Rates by value: a store to an array could otherwise change a number that is read through a
// reference, and the loop would not be vectorised.
template <class T>
void update(T* parameter, const T* gradient, T* m, T* v, std::int64_t count,
            const AdamWRates<T> by) {
  for (std::int64_t i = 0; i < count; ++i) {
    by.update(parameter[i], gradient[i], m[i], v[i]);
  }
}

Status adamw_target(const AdamW& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const AdamWRates<T> rates(p);
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

Status adamw(const AdamW& given, const CpuContext& context) {
  AdamW p = given;
  if (p.step_pointer != nullptr) {
    p.step = *p.step_pointer;
  }
  if (p.lr_pointer != nullptr) {
    p.lr = *p.lr_pointer;
  }
  if (p.gradient_scale_pointer != nullptr) {
    if (!std::isfinite(*p.gradient_scale_pointer)) {
      return {};
    }
    p.gradient_scale *= *p.gradient_scale_pointer;
  }
  if (p.step < 1) {
    return Status::invalid("adamw: steps count from 1");
  }
  return HWY_DYNAMIC_DISPATCH(adamw_target)(p, context);
}

Status adamw(const AdamWList& p, const CpuContext& context) {
  Status status;
  for (std::int64_t n = 0; status.ok() && n < p.array_count; ++n) {
    const AdamWArrays& arrays = p.arrays[n];
    AdamW one = p.by;
    one.parameter = arrays.parameter;
    one.gradient = arrays.gradient;
    one.m = arrays.m;
    one.v = arrays.v;
    one.count = arrays.count;
    status = adamw(one, context);
  }
  return status;
}

}  // namespace basin::kernels
#endif

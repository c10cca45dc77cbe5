#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/rotary/rotary.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rotary/rotary_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

Status rotary_target(const Rotary& p, const CpuContext& context) {
  if (p.D <= 0 || p.D % 2 != 0) {
    return Status::invalid("rotary: the head width must be even");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    // A chunk is a row position: its sines and cosines serve all batch items and heads.
    for_ranges(context, p.L, 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        for (std::int64_t c = 0; c < p.D / 2; ++c) {
          const double exponent = 2.0 * static_cast<double>(c) / static_cast<double>(p.D);
          const double angle = static_cast<double>(t) / std::pow(p.base, exponent);
          const T cosine = static_cast<T>(std::cos(angle));
          const T sine = static_cast<T>(p.inverse ? -std::sin(angle) : std::sin(angle));
          for (std::int64_t b = 0; b < p.B; ++b) {
            for (std::int64_t h = 0; h < p.H; ++h) {
              const T* x = p.x.head<T>(b, h) + t * p.x.row_stride + 2 * c;
              T* y = p.y.head<T>(b, h) + t * p.y.row_stride + 2 * c;
              const T first = x[0];
              const T second = x[1];
              y[0] = cosine * first - sine * second;
              y[1] = sine * first + cosine * second;
            }
          }
        }
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(rotary_target);

Status rotary(const Rotary& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(rotary_target)(p, context);
}

}  // namespace basin::kernels
#endif

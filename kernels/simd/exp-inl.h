// e^x of a vector. Included once per target.
#if defined(BASIN_KERNELS_SIMD_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_SIMD_EXP_INL_H_
#undef BASIN_KERNELS_SIMD_EXP_INL_H_
#else
#define BASIN_KERNELS_SIMD_EXP_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <type_traits>

#include "kernels/common/math.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// The f32 polynomial of kernels/common/math.h with fused steps, for x <= 89 as softmax has it:
/// within 2 ulp down to the smallest normal number, exactly 0 below -87.34 (that is where this
/// differs: no subnormal results, which nothing here needs). Keeps NaN; -inf becomes 0.
template <class D>
HWY_INLINE hn::Vec<D> exp_vector(D d, hn::Vec<D> x) {
  static_assert(std::is_same_v<hn::TFromD<D>, float>);
  const auto n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504088896341f)));
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  auto p = hn::Set(d, 1.0f / 5040.0f);
  for (const float c :
       {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f}) {
    p = hn::MulAdd(p, r, hn::Set(d, c));
  }
  const hn::RebindToSigned<D> di;
  const auto exponent = hn::ShiftLeft<23>(
      hn::Add(hn::ConvertTo(di, hn::Max(n, hn::Set(d, -127.0f))), hn::Set(di, 127)));
  const auto value = hn::Mul(p, hn::BitCast(d, exponent));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.33654f)), value);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

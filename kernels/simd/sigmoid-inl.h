// The logistic function and tanh of a vector. Included once per target.
#if defined(BASIN_KERNELS_SIMD_SIGMOID_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_SIMD_SIGMOID_INL_H_
#undef BASIN_KERNELS_SIMD_SIGMOID_INL_H_
#else
#define BASIN_KERNELS_SIMD_SIGMOID_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <type_traits>

#include "kernels/common/math.h"
#include "kernels/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// `function` of each number by itself: what f64, which uses libm, has in place of polynomials.
template <class D, class F>
HWY_INLINE hn::Vec<D> each_lane(D d, hn::Vec<D> x, F&& function) {
  HWY_ALIGN hn::TFromD<D> lanes[HWY_LANES(hn::TFromD<D>)];
  hn::Store(x, d, lanes);
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) {
    lanes[i] = function(lanes[i]);
  }
  return hn::Load(d, lanes);
}

/// x, but at most `limit`; NaN stays.
template <class D>
HWY_INLINE hn::Vec<D> limited(D d, hn::Vec<D> x, hn::TFromD<D> limit) {
  const auto most = hn::Set(d, limit);
  return hn::IfThenElse(hn::Gt(x, most), most, x);
}

/// 1 / (1 + e^-x); f32 within a few ulp for x above -87, and the value of -87 (1.6e-38) below.
template <class D>
HWY_INLINE hn::Vec<D> sigmoid_vector(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<T, float>) {
    const auto one = hn::Set(d, 1.0f);
    return hn::Div(one, hn::Add(one, exp_vector(d, limited(d, hn::Neg(x), 87.0f))));
  } else {
    return each_lane(d, x, [](T v) { return T(1) / (T(1) + exp_of(-v)); });
  }
}

/// tanh; f32 by the formulas of tanh_of() in kernels/common/math.h, absolute error below 2e-7.
template <class D>
HWY_INLINE hn::Vec<D> tanh_vector(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<T, float>) {
    const auto one = hn::Set(d, 1.0f);
    const auto two = hn::Set(d, 2.0f);
    const auto a = hn::Abs(x);
    const auto e = exp_vector(d, hn::Mul(two, limited(d, a, 10.0f)));
    const auto far = hn::Sub(one, hn::Div(two, hn::Add(e, one)));
    const auto s = hn::Mul(a, a);
    auto series = hn::Set(d, 62.0f / 2835.0f);
    for (const float c : {-17.0f / 315.0f, 2.0f / 15.0f, -1.0f / 3.0f, 1.0f}) {
      series = hn::MulAdd(series, s, hn::Set(d, c));
    }
    const auto near = hn::Mul(a, series);
    return hn::CopySign(hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.25f)), near, far), x);
  } else {
    return each_lane(d, x, [](T v) { return tanh_of(v); });
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

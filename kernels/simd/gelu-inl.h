// GELU and its derivative of a vector. Included once per target.
#if defined(BASIN_KERNELS_SIMD_GELU_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_SIMD_GELU_INL_H_
#undef BASIN_KERNELS_SIMD_GELU_INL_H_
#else
#define BASIN_KERNELS_SIMD_GELU_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <type_traits>

#include "kernels/common/gelu.h"
#include "kernels/simd/rows-inl.h"
#include "kernels/simd/sigmoid-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Phi(x), the normal distribution, given e = e^(-x^2/2): normal_cdf() of kernels/common/gelu.h
/// with fused steps. The factor 1/2 of the tail is in the coefficients.
template <class D>
HWY_INLINE hn::Vec<D> normal_cdf_vector(D d, hn::Vec<D> x, hn::Vec<D> e) {
  static_assert(std::is_same_v<hn::TFromD<D>, float>);
  const auto one = hn::Set(d, 1.0f);
  const auto t = hn::Div(one, hn::MulAdd(hn::Set(d, 0.23164189f), hn::Abs(x), one));
  auto p = hn::Set(d, 0.5f * 1.061405429f);
  for (const float c :
       {0.5f * -1.453152027f, 0.5f * 1.421413741f, 0.5f * -0.284496736f, 0.5f * 0.254829592f}) {
    p = hn::MulAdd(p, t, hn::Set(d, c));
  }
  const auto tail = hn::Mul(hn::Mul(p, t), e);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
}

template <class D>
HWY_INLINE hn::Vec<D> exp_of_half_square(D d, hn::Vec<D> x) {
  return exp_vector(d, hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f)));
}

/// x Phi(x). f64 takes the C library, number by number.
template <class D>
HWY_INLINE hn::Vec<D> gelu_vector(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<T, float>) {
    return hn::Mul(x, normal_cdf_vector(d, x, exp_of_half_square(d, x)));
  } else {
    return each_lane(d, x, [](T v) { return gelu_value(v); });
  }
}

/// Phi(x) + x e^(-x^2/2) / sqrt(2 pi).
template <class D>
HWY_INLINE hn::Vec<D> gelu_derivative_vector(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<T, float>) {
    const auto e = exp_of_half_square(d, x);
    return hn::MulAdd(x, hn::Mul(hn::Set(d, 0.39894228040143267794f), e),
                      normal_cdf_vector(d, x, e));
  } else {
    return each_lane(d, x, [](T v) { return gelu_derivative(v); });
  }
}

/// y[i] = gelu(x[i]); y may be x.
template <class T>
HWY_INLINE void gelu_row(const T* x, T* y, std::int64_t count) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = whole(d, count);
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    hn::StoreU(gelu_vector(d, hn::LoadU(d, x + i)), d, y + i);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    hn::BlendedStore(gelu_vector(d, hn::MaskedLoad(mask, d, x + end)), mask, d, y + end);
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

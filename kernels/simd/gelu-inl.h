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

/// What value and derivative share, for f32.
template <class D>
struct NormalTail {
  hn::Vec<D> a;     ///< |x|, at most 13.27: beyond, everything below is 0
  hn::Vec<D> e;     ///< e^(-x^2/2)
  hn::Vec<D> tail;  ///< Phi(-|x|)
};

/// Phi(-|x|) by the formula of normal_cdf() in kernels/common/gelu.h, with fused steps and the
/// factor 1/2 in its coefficients; e^(-x^2/2) = 2^n 2^f, n a whole number and |f| <= 1/2, 2^f by
/// the polynomial of degree 5 whose largest relative error, 7.5e-8, is least. A NaN in x does not
/// come through: the callers let it.
template <class D>
HWY_INLINE NormalTail<D> normal_tail(D d, hn::Vec<D> x) {
  static_assert(std::is_same_v<hn::TFromD<D>, float>);
  const auto a =
      hn::Min(hn::Abs(x), hn::Set(d, 13.27f));  // there n is -127, whose 2^n is written 0
  const auto square = hn::Mul(a, a);
  const auto scale = hn::Set(d, -0.72134752044448170368f);  // -log2(e) / 2
  // The sum has no bits for fractions, and in its lowest bits n + 127, which is 2^n as an exponent.
  const auto magic = hn::Set(d, 12582912.0f + 127.0f);
  const auto shifted = hn::MulAdd(square, scale, magic);
  const auto f = hn::MulSub(square, scale, hn::Sub(shifted, magic));
  auto e = hn::Set(d, 1.3276472e-3f);
  for (const float c : {9.67554133e-3f, 5.55071327e-2f, 0.240221197f, 0.693146967f, 1.00000007f}) {
    e = hn::MulAdd(e, f, hn::Set(d, c));
  }
  const hn::RebindToSigned<D> di;
  e = hn::Mul(e, hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted))));
  const auto one = hn::Set(d, 1.0f);
  const auto t = hn::Div(one, hn::MulAdd(hn::Set(d, 0.23164189f), a, one));
  auto p = hn::Set(d, 0.5f * 1.061405429f);
  for (const float c :
       {0.5f * -1.453152027f, 0.5f * 1.421413741f, 0.5f * -0.284496736f, 0.5f * 0.254829592f}) {
    p = hn::MulAdd(p, t, hn::Set(d, c));
  }
  return {a, e, hn::Mul(hn::Mul(p, t), e)};
}

/// x Phi(x) = max(x, 0) - |x| Phi(-|x|). f64 takes the C library, number by number.
template <class D>
HWY_INLINE hn::Vec<D> gelu_vector(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<T, float>) {
    const NormalTail<D> n = normal_tail(d, x);
    return hn::NegMulAdd(n.a, n.tail, hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x));
  } else {
    return each_lane(d, x, [](T v) { return gelu_value(v); });
  }
}

/// Phi(x) + x e^(-x^2/2) / sqrt(2 pi).
template <class D>
HWY_INLINE hn::Vec<D> gelu_derivative_vector(D d, hn::Vec<D> x) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<T, float>) {
    const NormalTail<D> n = normal_tail(d, x);
    const auto phi =
        hn::IfThenElse(hn::Lt(x, hn::Zero(d)), n.tail, hn::Sub(hn::Set(d, 1.0f), n.tail));
    return hn::MulAdd(x, hn::Mul(hn::Set(d, 0.39894228040143267794f), n.e), phi);
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

// Softmax or polynomial weights of a row, block of keys by block of keys: relative to the largest
// score so far, and brought into line when a larger one comes. Included once per target.
#if defined(BASIN_KERNELS_ASSOCIATION_TILE_WEIGHTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ASSOCIATION_TILE_WEIGHTS_INL_H_
#undef BASIN_KERNELS_ASSOCIATION_TILE_WEIGHTS_INL_H_
#else
#define BASIN_KERNELS_ASSOCIATION_TILE_WEIGHTS_INL_H_
#endif

#include <cmath>
#include <cstdint>

#include "kernels/association/separation.h"
#include "kernels/simd/product-inl.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

/// x^p for p >= 0, by squaring.
template <class D>
HWY_INLINE hn::Vec<D> power_vector(D d, hn::Vec<D> x, std::int64_t p) {
  auto result = hn::Set(d, hn::TFromD<D>(1));
  for (; p > 0; p >>= 1) {
    if ((p & 1) != 0) {
      result = hn::Mul(result, x);
    }
    x = hn::Mul(x, x);
  }
  return result;
}

/// What polynomial scores are measured in: no power of the quotient overflows.
template <class T>
HWY_INLINE T polynomial_unit(T largest) {
  return largest > T(0) ? largest : T(1);
}

/// y[j] = relu(x[j] / unit)^p, and returns the sum; NaN stays. y may be x.
template <class T>
T polynomial_row(const T* x, T* y, std::int64_t count, T largest, std::int64_t p) {
  const hn::ScalableTag<T> d;
  const auto unit = hn::Set(d, polynomial_unit(largest));
  const auto weigh = [&](hn::Vec<decltype(d)> value) {
    return hn::IfThenZeroElse(hn::Le(value, hn::Zero(d)), power_vector(d, hn::Div(value, unit), p));
  };
  const std::int64_t end = whole(d, count);
  auto sum = hn::Zero(d);
  for (std::int64_t j = 0; j < end; j += kLanesOf<T>) {
    const auto value = weigh(hn::LoadU(d, x + j));
    hn::StoreU(value, d, y + j);
    sum = hn::Add(sum, value);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    const auto value = weigh(hn::MaskedLoad(mask, d, x + end));  // 0 where there is none
    hn::BlendedStore(value, mask, d, y + end);
    sum = hn::Add(sum, value);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

/// Of one call; power: degree - 1, or 0 for softmax.
template <class T>
struct TileWeights {
  std::int64_t power;

  explicit TileWeights(const SeparationRule& rule)
      : power(rule.kind == Separation::polynomial ? rule.degree - 1 : 0) {}

  /// Scores to weights, in place; returns their sum.
  T weigh(T* row, std::int64_t count, T largest) const {
    return power == 0 ? vector_exp_sum(row, row, count, largest)
                      : polynomial_row(row, row, count, largest, power);
  }
  /// What a weight relative to `old` has to be multiplied with.
  T shrink(T old, T largest) const {
    if (old == largest) {
      return T(1);
    }
    if (power == 0) {
      return exp_of(old - largest);
    }
    // Without a score above 0 there is nothing yet.
    return old > T(0) ? static_cast<T>(std::pow(static_cast<double>(old / largest),
                                                static_cast<double>(power)))
                      : T(1);
  }
  /// The sum of a whole row as the level of its statistics.
  T level(T sum, T largest) const {
    if (power == 0 || !(largest > T(0))) {
      return sum;
    }
    return static_cast<T>(static_cast<double>(sum) +
                          kPolynomialEps * std::exp(-static_cast<double>(power) *
                                                    std::log(static_cast<double>(largest))));
  }

  /// Scores to weights P, and g = dout.v to the slopes ds of the scores.
  void weights_and_slopes(T* weights, T* slopes, std::int64_t count, T largest, T level,
                          T delta) const {
    const T share = T(1) / level;
    if (power == 0) {
      (void)vector_exp_sum(weights, weights, count, largest);
      for (std::int64_t j = 0; j < count; ++j) {
        weights[j] *= share;
        slopes[j] = weights[j] * (slopes[j] - delta);
      }
      return;
    }
    const hn::ScalableTag<T> d;
    const auto unit = hn::Set(d, polynomial_unit(largest));
    const auto per_weight = hn::Set(d, share);
    const auto per_slope = hn::Set(d, static_cast<T>(power) * share / polynomial_unit(largest));
    const auto inner = hn::Set(d, delta);
    const auto convert = [&](hn::Mask<decltype(d)> mask, std::int64_t j) {
      const auto score = hn::MaskedLoad(mask, d, weights + j);
      const auto below = hn::Le(score, hn::Zero(d));
      const auto x = hn::Div(score, unit);
      const auto lower = hn::IfThenZeroElse(below, power_vector(d, x, power - 1));
      const auto g = hn::Sub(hn::MaskedLoad(mask, d, slopes + j), inner);
      hn::BlendedStore(hn::Mul(per_weight, hn::IfThenZeroElse(below, hn::Mul(lower, x))), mask, d,
                       weights + j);
      hn::BlendedStore(hn::IfThenZeroElse(below, hn::Mul(hn::Mul(per_slope, lower), g)), mask, d,
                       slopes + j);
    };
    const auto all = hn::FirstN(d, static_cast<std::size_t>(kLanesOf<T>));
    const std::int64_t end = whole(d, count);
    for (std::int64_t j = 0; j < end; j += kLanesOf<T>) {
      convert(all, j);
    }
    if (end < count) {
      convert(rest(d, count, end), end);
    }
  }
};

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

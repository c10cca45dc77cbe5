// Maximum, sum of exponentials and dot product of one row, in vectors. Included once per target.
#if defined(BASIN_KERNELS_SIMD_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_SIMD_ROWS_INL_H_
#undef BASIN_KERNELS_SIMD_ROWS_INL_H_
#else
#define BASIN_KERNELS_SIMD_ROWS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/common/row_math.h"
#include "kernels/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The body is called for whole vectors, then once for a mask of the rest. f64 exists for checks and
// takes the plain loops of row_math.h where an exponential is needed.
template <class D>
HWY_INLINE std::int64_t whole(D d, std::int64_t count) {
  return count - count % static_cast<std::int64_t>(hn::Lanes(d));
}
template <class D>
HWY_INLINE hn::Mask<D> rest(D d, std::int64_t count, std::int64_t done) {
  return hn::FirstN(d, static_cast<std::size_t>(count - done));
}

/// The largest element; -inf for an empty row. NaN is passed over or found: a sum of exponentials
/// shows it in either case.
template <class T>
HWY_INLINE T vector_max(const T* x, std::int64_t count) {
  const hn::ScalableTag<T> d;
  const auto lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  const std::int64_t end = whole(d, count);
  auto best = lowest;
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    best = hn::Max(best, hn::LoadU(d, x + i));
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    best = hn::Max(best, hn::IfThenElse(mask, hn::MaskedLoad(mask, d, x + end), lowest));
  }
  return hn::GetLane(hn::MaxOfLanes(d, best));
}

/// y[i] = exp(x[i] - shift), and returns the sum. y may be x. x[i] <= shift + 88.
HWY_INLINE float vector_exp_sum(const float* x, float* y, std::int64_t count, float shift) {
  const hn::ScalableTag<float> d;
  const auto offset = hn::Set(d, shift);
  const std::int64_t end = whole(d, count);
  auto sum = hn::Zero(d);
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    const auto value = exp_vector(d, hn::Sub(hn::LoadU(d, x + i), offset));
    hn::StoreU(value, d, y + i);
    sum = hn::Add(sum, value);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    const auto value =
        hn::IfThenElseZero(mask, exp_vector(d, hn::Sub(hn::MaskedLoad(mask, d, x + end), offset)));
    hn::BlendedStore(value, mask, d, y + end);
    sum = hn::Add(sum, value);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}
HWY_INLINE double vector_exp_sum(const double* x, double* y, std::int64_t count, double shift) {
  return row_exp(x, y, count, shift);
}

/// The sum of exp(x[i] - shift) without storing the terms.
HWY_INLINE float vector_sum_exp(const float* x, std::int64_t count, float shift) {
  const hn::ScalableTag<float> d;
  const auto offset = hn::Set(d, shift);
  const std::int64_t end = whole(d, count);
  auto sum = hn::Zero(d);
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    sum = hn::Add(sum, exp_vector(d, hn::Sub(hn::LoadU(d, x + i), offset)));
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    sum = hn::Add(sum, hn::IfThenElseZero(
                           mask, exp_vector(d, hn::Sub(hn::MaskedLoad(mask, d, x + end), offset))));
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}
HWY_INLINE double vector_sum_exp(const double* x, std::int64_t count, double shift) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    sum += std::exp(x[i] - shift);
  }
  return sum;
}

/// Sum of x[i] y[i].
template <class T>
HWY_INLINE T vector_dot(const T* x, const T* y, std::int64_t count) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = whole(d, count);
  auto sum = hn::Zero(d);
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    sum = hn::MulAdd(hn::LoadU(d, x + i), hn::LoadU(d, y + i), sum);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    sum = hn::MulAdd(hn::MaskedLoad(mask, d, x + end), hn::MaskedLoad(mask, d, y + end), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

/// y[i] = scale x[i]; y may be x.
template <class T>
HWY_INLINE void vector_scale(const T* x, T* y, std::int64_t count, T scale) {
  const hn::ScalableTag<T> d;
  const auto factor = hn::Set(d, scale);
  const std::int64_t end = whole(d, count);
  for (std::int64_t i = 0; i < end; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    hn::StoreU(hn::Mul(factor, hn::LoadU(d, x + i)), d, y + i);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    hn::BlendedStore(hn::Mul(factor, hn::MaskedLoad(mask, d, x + end)), mask, d, y + end);
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

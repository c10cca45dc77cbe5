// The k-th largest of a row. Included once per target.
//
// A range of numbers is narrowed down until it holds the answer alone; each step counts how many of
// the row reach its middle. Counting 4096 numbers over and over would cost more than computing
// them, so a long row is asked twice only: a sample of 16 vectors says between which two numbers
// the answer is likely to lie, and one pass counts what is above and copies what is between. The
// rest happens among these few. If the sample was wrong, the whole row is narrowed down.
#if defined(BASIN_KERNELS_SIMD_SELECT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_SIMD_SELECT_INL_H_
#undef BASIN_KERNELS_SIMD_SELECT_INL_H_
#else
#define BASIN_KERNELS_SIMD_SELECT_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/simd/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

/// A number whose order as an unsigned integer is that of x; not for NaN.
template <class T>
HWY_INLINE auto ordered(T x) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  const Bits bits = std::bit_cast<Bits>(x);
  return (bits & kSign) != 0 ? static_cast<Bits>(~bits) : static_cast<Bits>(bits | kSign);
}
template <class T, class Bits>
HWY_INLINE T from_ordered(Bits bits) {
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  return std::bit_cast<T>((bits & kSign) != 0 ? static_cast<Bits>(bits & ~kSign)
                                              : static_cast<Bits>(~bits));
}

/// How many of `count` numbers, in whole vectors, are at least `bound`.
template <class T>
HWY_INLINE std::int64_t count_from(const T* x, std::int64_t count, T bound) {
  const hn::ScalableTag<T> d;
  const auto least = hn::Set(d, bound);
  std::size_t found = 0;
  std::size_t other = 0;
  std::int64_t j = 0;
  for (; j + 2 * kLanesOf<T> <= count; j += 2 * kLanesOf<T>) {
    found += hn::CountTrue(d, hn::Ge(hn::LoadU(d, x + j), least));
    other += hn::CountTrue(d, hn::Ge(hn::LoadU(d, x + j + kLanesOf<T>), least));
  }
  if (j < count) {
    found += hn::CountTrue(d, hn::Ge(hn::LoadU(d, x + j), least));
  }
  return static_cast<std::int64_t>(found + other);
}

/// The k-th largest of `count` >= k >= 1 numbers in whole vectors. Not for NaN.
template <class T>
T narrowed_kth(const T* x, std::int64_t count, std::int64_t k) {
  const hn::ScalableTag<T> d;
  const auto infinity = hn::Set(d, std::numeric_limits<T>::infinity());
  // The answer is at least `low`, which k numbers reach, and below `high`, which fewer reach.
  auto least = infinity;
  auto most = hn::Neg(infinity);
  for (std::int64_t j = 0; j < count; j += kLanesOf<T>) {
    const auto value = hn::LoadU(d, x + j);
    // What only fills up the last vector does not widen the range.
    least = hn::Min(least, hn::IfThenElse(hn::Gt(value, hn::Neg(infinity)), value, infinity));
    most = hn::Max(most, value);
  }
  T low = hn::GetLane(hn::MinOfLanes(d, least));
  const T highest = hn::GetLane(hn::MaxOfLanes(d, most));
  if (!(low < highest)) {
    return highest == low && count_from(x, count, low) >= k ? low
                                                            : -std::numeric_limits<T>::infinity();
  }
  if (count_from(x, count, low) < k) {
    return -std::numeric_limits<T>::infinity();
  }
  if (count_from(x, count, highest) >= k) {
    return highest;
  }
  T high = highest;
  // Halves of the range in value are quick where scores are spread as usual, halves in bits are
  // never many.
  constexpr int kByValue = 24;
  for (int step = 0;; ++step) {
    const auto low_bits = ordered(low);
    const auto high_bits = ordered(high);
    if (high_bits - low_bits <= 1) {
      return low;
    }
    T middle = low / 2 + high / 2;
    if (step >= kByValue || !(middle > low && middle < high)) {
      middle = from_ordered<T>(low_bits + (high_bits - low_bits) / 2);
    }
    const std::int64_t reach = count_from(x, count, middle);
    if (reach < k) {
      high = middle;
      continue;
    }
    low = middle;
    if (reach == k) {
      // The least of those that reach it.
      auto found = infinity;
      const auto bound = hn::Set(d, middle);
      for (std::int64_t j = 0; j < count; j += kLanesOf<T>) {
        const auto value = hn::LoadU(d, x + j);
        found = hn::Min(found, hn::IfThenElse(hn::Ge(value, bound), value, infinity));
      }
      return hn::GetLane(hn::MinOfLanes(d, found));
    }
  }
}

/// The k-th largest of `count` numbers, of which at least k >= 1 are above -inf, in whole vectors;
/// -inf fills up. Not for NaN. `spare` has room for `count` numbers and two vectors.
template <class T>
T kth_largest(const T* x, std::int64_t count, std::int64_t k, T* spare) {
  constexpr std::int64_t kSampleVectors = 16;
  constexpr std::int64_t kSample = kSampleVectors * kLanesOf<T>;
  if (count < 4 * kSample) {
    return narrowed_kth(x, count, k);
  }
  const hn::ScalableTag<T> d;
  const std::int64_t vectors = count / kLanesOf<T>;
  for (std::int64_t n = 0; n < kSampleVectors; ++n) {
    hn::StoreU(hn::LoadU(d, x + n * vectors / kSampleVectors * kLanesOf<T>), d,
               spare + n * kLanesOf<T>);
  }
  // The rank in the sample, give or take two and a half standard deviations.
  const double share = static_cast<double>(k) / static_cast<double>(count);
  const auto sampled = static_cast<double>(kSample);
  const double rank = share * sampled;
  const double slack = 2.5 * std::sqrt(rank * (1 - share)) + 1;
  const auto upper_rank = static_cast<std::int64_t>(rank - slack);
  const auto lower_rank = static_cast<std::int64_t>(rank + slack) + 1;
  const T upper = upper_rank < 1 ? std::numeric_limits<T>::infinity()
                                 : narrowed_kth(spare, kSample, upper_rank);
  const T lower = lower_rank > kSample ? -std::numeric_limits<T>::infinity()
                                       : narrowed_kth(spare, kSample, lower_rank);
  const auto upper_bound = hn::Set(d, upper);
  const auto lower_bound = hn::Set(d, lower);
  std::size_t above = 0;
  T* to = spare;
  for (std::int64_t j = 0; j < count; j += kLanesOf<T>) {
    const auto value = hn::LoadU(d, x + j);
    const auto is_above = hn::Ge(value, upper_bound);
    const auto is_between = hn::AndNot(is_above, hn::Ge(value, lower_bound));
    above += hn::CountTrue(d, is_above);
    // A whole vector is stored, of which the next takes the place of what is not meant.
    hn::StoreU(hn::Compress(value, is_between), d, to);
    to += hn::CountTrue(d, is_between);
  }
  const std::int64_t between = to - spare;
  const std::int64_t left = k - static_cast<std::int64_t>(above);
  if (left < 1 || left > between) {
    return narrowed_kth(x, count, k);
  }
  hn::StoreU(hn::Set(d, -std::numeric_limits<T>::infinity()), d, to);
  return narrowed_kth(spare, (between + kLanesOf<T> - 1) / kLanesOf<T> * kLanesOf<T>, left);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

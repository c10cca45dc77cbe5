// A short list of scores and the keys they belong to, filled and thinned out in whole vectors: a
// branch for each score would be guessed wrong too often. Included once per target.
#if defined(BASIN_KERNELS_ASSOCIATION_CANDIDATE_LIST_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ASSOCIATION_CANDIDATE_LIST_INL_H_
#undef BASIN_KERNELS_ASSOCIATION_CANDIDATE_LIST_INL_H_
#else
#define BASIN_KERNELS_ASSOCIATION_CANDIDATE_LIST_INL_H_
#endif

#include <cmath>
#include <cstdint>

#include "kernels/association/list_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

/// Room that a list must have behind what it can hold: whole vectors are stored.
template <class T>
constexpr std::int64_t kListSlack = kLanesOf<T>;

/// Stores the wanted lanes side by side and returns how many they are; what lies behind them, up to
/// a whole vector, is overwritten.
template <class D, class T>
HWY_INLINE std::int64_t store_wanted(D d, hn::Vec<D> values, hn::Mask<D> wanted, T* to) {
  hn::StoreU(hn::Compress(values, wanted), d, to);
  return static_cast<std::int64_t>(hn::CountTrue(d, wanted));
}

/// Puts those of `count` scores that are not at most `bound` (NaN is not) at to_scores, and their
/// numbers, counted from `first`, at to_keys. Returns how many there are. Scores are read, and
/// lists written, up to a whole vector.
template <class T>
HWY_INLINE std::int64_t take_above(const T* scores, std::int64_t count, T bound, std::int64_t first,
                                   T* to_scores, IndexOf<T>* to_keys) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto limit = hn::Set(d, bound);
  std::int64_t taken = 0;
  for (std::int64_t j = 0; j < count; j += kLanesOf<T>) {
    const auto values = hn::LoadU(d, scores + j);
    auto wanted = hn::Not(hn::Le(values, limit));
    if (count - j < kLanesOf<T>) {
      wanted = hn::And(wanted, hn::FirstN(d, static_cast<std::size_t>(count - j)));
    }
    if (hn::AllFalse(d, wanted)) {
      continue;  // most vectors
    }
    const auto numbers = hn::Iota(di, static_cast<IndexOf<T>>(first + j));
    store_wanted(di, numbers, hn::RebindMask(di, wanted), to_keys + taken);
    taken += store_wanted(d, values, wanted, to_scores + taken);
  }
  return taken;
}

/// Keeps of a list what is not at most `bound`, in its order. Returns how many are left.
template <class T>
HWY_INLINE std::int64_t filter_list(T* scores, IndexOf<T>* keys, std::int64_t count, T bound) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto limit = hn::Set(d, bound);
  std::int64_t kept = 0;
  for (std::int64_t j = 0; j < count; j += kLanesOf<T>) {
    const auto values = hn::LoadU(d, scores + j);
    const auto numbers = hn::LoadU(di, keys + j);
    const auto wanted =
        hn::AndNot(hn::Le(values, limit),
                   hn::FirstN(d, static_cast<std::size_t>(std::min(count - j, kLanesOf<T>))));
    // Never further than what has been read.
    store_wanted(di, numbers, hn::RebindMask(di, wanted), keys + kept);
    kept += store_wanted(d, values, wanted, scores + kept);
  }
  return kept;
}

/// A bound below the root tau of sum_j max(z_j - tau, 0)^p = 1 with z = scale (score - largest), p
/// 1 or 2, up to rounding: some steps of Newton's method from -1, which rises to the root and never
/// passes it (see solve_tau() in row_weights.h). -1 where a score is not a number.
template <class T>
HWY_INLINE T tau_from_below(const T* scores, std::int64_t count, T largest, T scale, bool squares) {
  const hn::ScalableTag<T> d;
  const auto factor = hn::Set(d, scale);
  const auto top = hn::Set(d, largest);
  constexpr int kSteps = 3;
  T tau = T(-1);
  for (int step = 0; step < kSteps; ++step) {
    const auto shift = hn::Set(d, tau);
    auto sum = hn::Zero(d);    // of x^p
    auto slope = hn::Zero(d);  // of x^(p - 1)
    for (std::int64_t j = 0; j < count; j += kLanesOf<T>) {
      const auto exists = hn::FirstN(d, static_cast<std::size_t>(std::min(count - j, kLanesOf<T>)));
      const auto x = hn::Sub(hn::Mul(factor, hn::Sub(hn::LoadU(d, scores + j), top)), shift);
      const auto counts = hn::And(exists, hn::Gt(x, hn::Zero(d)));
      const auto kept = hn::IfThenElseZero(counts, x);
      sum = squares ? hn::MulAdd(kept, kept, sum) : hn::Add(sum, kept);
      slope = hn::Add(slope, squares ? kept : hn::IfThenElseZero(counts, hn::Set(d, T(1))));
    }
    const T powers = hn::GetLane(hn::SumOfLanes(d, sum));
    const T slopes = hn::GetLane(hn::SumOfLanes(d, slope));
    const T norm = squares ? std::sqrt(powers) : powers;
    const T next = tau + (norm - 1) * (squares ? norm : T(1)) / slopes;
    if (!(next > tau)) {
      break;
    }
    tau = next;
  }
  return tau;
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

// What layer normalisation does to one row, in vectors: with and without a second addend. Included
// once per target.
#if defined(BASIN_KERNELS_NORM_NORM_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_NORM_NORM_ROWS_INL_H_
#undef BASIN_KERNELS_NORM_NORM_ROWS_INL_H_
#else
#define BASIN_KERNELS_NORM_NORM_ROWS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/common/thread_pool.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Rows of one chunk, and of one partial sum of dweight and dbias.
inline constexpr std::int64_t kNormRows = 64;

template <class T>
struct RowStatistics {
  T mean, rstd;
};

// The statistics of a row whose elements add up to `sum`.
template <class T>
HWY_INLINE RowStatistics<T> statistics_from(T sum, const T* x, std::int64_t cols, double eps) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = whole(d, cols);
  const T mean = sum / static_cast<T>(cols);
  // A second pass over the row: the one-pass formula E[x^2] - E[x]^2 cancels.
  const auto centre = hn::Set(d, mean);
  auto square = hn::Zero(d);
  for (std::int64_t c = 0; c < end; c += static_cast<std::int64_t>(hn::Lanes(d))) {
    const auto away = hn::Sub(hn::LoadU(d, x + c), centre);
    square = hn::MulAdd(away, away, square);
  }
  if (end < cols) {
    const auto tail = rest(d, cols, end);
    const auto away = hn::IfThenElseZero(tail, hn::Sub(hn::MaskedLoad(tail, d, x + end), centre));
    square = hn::MulAdd(away, away, square);
  }
  const T variance = hn::GetLane(hn::SumOfLanes(d, square)) / static_cast<T>(cols);
  return {mean, T(1) / std::sqrt(variance + static_cast<T>(eps))};
}

template <class T>
HWY_INLINE RowStatistics<T> statistics_of(const T* x, std::int64_t cols, double eps) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = whole(d, cols);
  auto sum = hn::Zero(d);
  for (std::int64_t c = 0; c < end; c += static_cast<std::int64_t>(hn::Lanes(d))) {
    sum = hn::Add(sum, hn::LoadU(d, x + c));
  }
  if (end < cols) {
    sum = hn::Add(sum, hn::MaskedLoad(rest(d, cols, end), d, x + end));
  }
  return statistics_from(hn::GetLane(hn::SumOfLanes(d, sum)), x, cols, eps);
}

/// total = x + more, and the statistics of that.
template <class T>
HWY_INLINE RowStatistics<T> statistics_of_sum(const T* x, const T* more, T* total,
                                              std::int64_t cols, double eps) {
  const hn::ScalableTag<T> d;
  const std::int64_t end = whole(d, cols);
  auto sum = hn::Zero(d);
  for (std::int64_t c = 0; c < end; c += static_cast<std::int64_t>(hn::Lanes(d))) {
    const auto both = hn::Add(hn::LoadU(d, x + c), hn::LoadU(d, more + c));
    hn::StoreU(both, d, total + c);
    sum = hn::Add(sum, both);
  }
  if (end < cols) {
    const auto tail = rest(d, cols, end);
    const auto both =
        hn::Add(hn::MaskedLoad(tail, d, x + end), hn::MaskedLoad(tail, d, more + end));
    hn::BlendedStore(both, tail, d, total + end);
    sum = hn::Add(sum, both);
  }
  return statistics_from(hn::GetLane(hn::SumOfLanes(d, sum)), total, cols, eps);
}

// A vector of an array, or what stands for it where there is none.
template <class D, class T>
HWY_INLINE hn::Vec<D> load_or(D d, const T* from, std::int64_t at, T missing) {
  return from != nullptr ? hn::LoadU(d, from + at) : hn::Set(d, missing);
}

template <class T>
HWY_INLINE void normalise_row(const T* x, T* y, const T* weight, const T* bias, std::int64_t cols,
                              const RowStatistics<T>& s) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t end = whole(d, cols);
  const auto centre = hn::Set(d, s.mean);
  const auto scale = hn::Set(d, s.rstd);
  for (std::int64_t c = 0; c < end; c += lanes) {
    const auto normal = hn::Mul(hn::Sub(hn::LoadU(d, x + c), centre), scale);
    hn::StoreU(hn::MulAdd(normal, load_or(d, weight, c, T(1)), load_or(d, bias, c, T(0))), d,
               y + c);
  }
  if (end < cols) {
    const auto tail = rest(d, cols, end);
    const auto normal = hn::Mul(hn::Sub(hn::MaskedLoad(tail, d, x + end), centre), scale);
    const auto w = weight != nullptr ? hn::MaskedLoad(tail, d, weight + end) : hn::Set(d, T(1));
    const auto more = bias != nullptr ? hn::MaskedLoad(tail, d, bias + end) : hn::Zero(d);
    hn::BlendedStore(hn::MulAdd(normal, w, more), tail, d, y + end);
  }
}

// dx of one row, with g = dy weight: rstd (g - mean(g) - (x - mean) rstd^2 mean(g (x - mean))), and
// `more` added if there is one; dx may be `more`.
template <class T, bool kWeighted, bool kMore>
HWY_INLINE void slope_of_row(const T* x, const T* dy, const T* weight, const T* more, T* dx,
                             std::int64_t cols, const RowStatistics<T>& s) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t end = whole(d, cols);
  const auto tail = rest(d, cols, end);
  const auto centre = hn::Set(d, s.mean);
  auto sum_g = hn::Zero(d);
  auto sum_gx = hn::Zero(d);
  for (std::int64_t c = 0; c < end; c += lanes) {
    auto g = hn::LoadU(d, dy + c);
    if constexpr (kWeighted) {
      g = hn::Mul(g, hn::LoadU(d, weight + c));
    }
    sum_g = hn::Add(sum_g, g);
    sum_gx = hn::MulAdd(g, hn::Sub(hn::LoadU(d, x + c), centre), sum_gx);
  }
  if (end < cols) {
    auto g = hn::MaskedLoad(tail, d, dy + end);
    if constexpr (kWeighted) {
      g = hn::Mul(g, hn::MaskedLoad(tail, d, weight + end));
    }
    sum_g = hn::Add(sum_g, g);
    sum_gx = hn::MulAdd(g, hn::Sub(hn::MaskedLoad(tail, d, x + end), centre), sum_gx);
  }
  const T mean_g = hn::GetLane(hn::SumOfLanes(d, sum_g)) / static_cast<T>(cols);
  const T slope = hn::GetLane(hn::SumOfLanes(d, sum_gx)) * s.rstd * s.rstd / static_cast<T>(cols);
  const auto from_g = hn::Set(d, mean_g);
  const auto from_x = hn::Set(d, slope);
  const auto scale = hn::Set(d, s.rstd);
  const auto slope_at = [&](hn::Vec<decltype(d)> value, hn::Vec<decltype(d)> g) HWY_ATTR {
    return hn::Mul(scale, hn::NegMulAdd(hn::Sub(value, centre), from_x, hn::Sub(g, from_g)));
  };
  for (std::int64_t c = 0; c < end; c += lanes) {
    auto g = hn::LoadU(d, dy + c);
    if constexpr (kWeighted) {
      g = hn::Mul(g, hn::LoadU(d, weight + c));
    }
    auto here = slope_at(hn::LoadU(d, x + c), g);
    if constexpr (kMore) {
      here = hn::Add(hn::LoadU(d, more + c), here);
    }
    hn::StoreU(here, d, dx + c);
  }
  if (end < cols) {
    auto g = hn::MaskedLoad(tail, d, dy + end);
    if constexpr (kWeighted) {
      g = hn::Mul(g, hn::MaskedLoad(tail, d, weight + end));
    }
    auto here = slope_at(hn::MaskedLoad(tail, d, x + end), g);
    if constexpr (kMore) {
      here = hn::Add(hn::MaskedLoad(tail, d, more + end), here);
    }
    hn::BlendedStore(here, tail, d, dx + end);
  }
}

template <class T>
HWY_INLINE void add_row(const T* x, const T* dy, T* dweight, T* dbias, std::int64_t cols,
                        const RowStatistics<T>& s) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t end = whole(d, cols);
  const auto centre = hn::Set(d, s.mean);
  const auto scale = hn::Set(d, s.rstd);
  for (std::int64_t c = 0; c < end; c += lanes) {
    const auto gradient = hn::LoadU(d, dy + c);
    const auto normal = hn::Mul(hn::Sub(hn::LoadU(d, x + c), centre), scale);
    hn::StoreU(hn::MulAdd(gradient, normal, hn::LoadU(d, dweight + c)), d, dweight + c);
    hn::StoreU(hn::Add(gradient, hn::LoadU(d, dbias + c)), d, dbias + c);
  }
  for (std::int64_t c = end; c < cols; ++c) {
    dweight[c] += dy[c] * ((x[c] - s.mean) * s.rstd);
    dbias[c] += dy[c];
  }
}

// Sums of up to 64 rows are kept in the dtype, sums of those in double.
template <class T>
void add_partials(const T* partials, std::int64_t rows, std::int64_t cols, T* dweight, T* dbias,
                  const CpuContext& context) {
  constexpr std::int64_t kColumns = 128;
  const std::int64_t pieces = (rows + kNormRows - 1) / kNormRows;
  for_ranges(context, 2 * cols, kColumns, [&](std::int64_t begin, std::int64_t end) {
    double total[kColumns] = {};
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      const T* from = partials + piece * cols * 2;
      for (std::int64_t c = begin; c < end; ++c) {
        total[c - begin] += static_cast<double>(from[c]);
      }
    }
    for (std::int64_t c = begin; c < end; ++c) {
      T* to = c < cols ? dweight + c : dbias + c - cols;
      *to = static_cast<T>(total[c - begin]);
    }
  });
}

/// The backward pass of all rows: what layer_norm.h and add_layer_norm.h say. `x` is what was
/// normalised; `more` (dx of another path) may be null; dx, or dweight and dbias, may be null.
template <class T>
struct NormSlopes {
  const T* x;
  const T* weight;
  const T* mean;
  const T* rstd;
  const T* dy;
  const T* more;
  T* dx;
  T* dweight;
  T* dbias;
  T* partials;
  std::int64_t rows, cols;
};

template <class T>
HWY_INLINE void slope_of_row(const NormSlopes<T>& p, std::int64_t row, const RowStatistics<T>& s) {
  const std::int64_t at = row * p.cols;
  if (p.more != nullptr) {
    if (p.weight != nullptr) {
      slope_of_row<T, true, true>(p.x + at, p.dy + at, p.weight, p.more + at, p.dx + at, p.cols, s);
    } else {
      slope_of_row<T, false, true>(p.x + at, p.dy + at, nullptr, p.more + at, p.dx + at, p.cols, s);
    }
  } else if (p.weight != nullptr) {
    slope_of_row<T, true, false>(p.x + at, p.dy + at, p.weight, nullptr, p.dx + at, p.cols, s);
  } else {
    slope_of_row<T, false, false>(p.x + at, p.dy + at, nullptr, nullptr, p.dx + at, p.cols, s);
  }
}

template <class T>
void norm_slopes(const NormSlopes<T>& p, const CpuContext& context) {
  for_ranges(context, p.rows, kNormRows, [&](std::int64_t begin, std::int64_t end) {
    T* dweight = nullptr;
    if (p.dweight != nullptr) {
      dweight = p.partials + begin / kNormRows * p.cols * 2;
      std::fill(dweight, dweight + 2 * p.cols, T(0));
    }
    for (std::int64_t r = begin; r < end; ++r) {
      const RowStatistics<T> s{p.mean[r], p.rstd[r]};
      if (p.dx != nullptr) {
        slope_of_row(p, r, s);
      }
      if (dweight != nullptr) {
        add_row(p.x + r * p.cols, p.dy + r * p.cols, dweight, dweight + p.cols, p.cols, s);
      }
    }
  });
  if (p.dweight != nullptr) {
    add_partials(p.partials, p.rows, p.cols, p.dweight, p.dbias, context);
  }
}

/// Doubles of scratch for the sums of weights and biases.
inline std::int64_t norm_workspace(std::int64_t rows, std::int64_t cols) {
  return (rows + kNormRows - 1) / kNormRows * cols * 2;
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

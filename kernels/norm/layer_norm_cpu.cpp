#include "kernels/norm/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm/layer_norm_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// Rows of one chunk, and of one partial sum of dweight and dbias.
constexpr std::int64_t kRows = 64;

template <class T>
struct RowStatistics {
  T mean, rstd;
};

template <class T>
HWY_INLINE RowStatistics<T> statistics_of(const T* x, std::int64_t cols, double eps) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t end = whole(d, cols);
  const auto tail = rest(d, cols, end);
  auto sum = hn::Zero(d);
  for (std::int64_t c = 0; c < end; c += lanes) {
    sum = hn::Add(sum, hn::LoadU(d, x + c));
  }
  if (end < cols) {
    sum = hn::Add(sum, hn::MaskedLoad(tail, d, x + end));
  }
  const T mean = hn::GetLane(hn::SumOfLanes(d, sum)) / static_cast<T>(cols);
  // A second pass over the row: the one-pass formula E[x^2] - E[x]^2 cancels.
  const auto centre = hn::Set(d, mean);
  auto square = hn::Zero(d);
  for (std::int64_t c = 0; c < end; c += lanes) {
    const auto away = hn::Sub(hn::LoadU(d, x + c), centre);
    square = hn::MulAdd(away, away, square);
  }
  if (end < cols) {
    const auto away = hn::IfThenElseZero(tail, hn::Sub(hn::MaskedLoad(tail, d, x + end), centre));
    square = hn::MulAdd(away, away, square);
  }
  const T variance = hn::GetLane(hn::SumOfLanes(d, square)) / static_cast<T>(cols);
  return {mean, T(1) / std::sqrt(variance + static_cast<T>(eps))};
}

template <class T>
HWY_INLINE void normalise_row(const T* x, T* y, const T* weight, const T* bias, std::int64_t cols,
                              const RowStatistics<T>& s) {
  if (weight != nullptr && bias != nullptr) {
    for (std::int64_t c = 0; c < cols; ++c) {
      y[c] = (x[c] - s.mean) * s.rstd * weight[c] + bias[c];
    }
  } else {
    for (std::int64_t c = 0; c < cols; ++c) {
      y[c] = (x[c] - s.mean) * s.rstd * (weight != nullptr ? weight[c] : T(1)) +
             (bias != nullptr ? bias[c] : T(0));
    }
  }
}

// dx of one row, with g = dy weight: rstd (g - mean(g) - (x - mean) rstd^2 mean(g (x - mean))).
template <class T, bool kWeighted>
HWY_INLINE void slope_of_row(const T* x, const T* dy, const T* weight, T* dx, std::int64_t cols,
                             const RowStatistics<T>& s) {
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
  for (std::int64_t c = 0; c < cols; ++c) {
    const T g = kWeighted ? dy[c] * weight[c] : dy[c];
    dx[c] = s.rstd * (g - mean_g - (x[c] - s.mean) * slope);
  }
}

template <class T>
HWY_INLINE void add_row(const T* x, const T* dy, T* dweight, T* dbias, std::int64_t cols,
                        const RowStatistics<T>& s) {
  for (std::int64_t c = 0; c < cols; ++c) {
    dweight[c] += dy[c] * ((x[c] - s.mean) * s.rstd);
    dbias[c] += dy[c];
  }
}

Status layer_norm_forward_target(const LayerNormForward& p, const CpuContext& context) {
  if (p.cols <= 0) {
    return Status::invalid("layer_norm: rows must have at least one element");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T* x = static_cast<const T*>(p.x) + r * p.x_stride;
        const RowStatistics<T> s = statistics_of(x, p.cols, p.eps);
        static_cast<T*>(p.mean)[r] = s.mean;
        static_cast<T*>(p.rstd)[r] = s.rstd;
        normalise_row(x, static_cast<T*>(p.y) + r * p.y_stride, static_cast<const T*>(p.weight),
                      static_cast<const T*>(p.bias), p.cols, s);
      }
    });
    return Status{};
  });
}

// Sums of up to 64 rows are kept in the dtype, sums of those in double.
template <class T>
void add_partials(const LayerNormBackward& p, const T* partials, const CpuContext& context) {
  constexpr std::int64_t kColumns = 128;
  const std::int64_t pieces = (p.rows + kRows - 1) / kRows;
  for_ranges(context, 2 * p.cols, kColumns, [&](std::int64_t begin, std::int64_t end) {
    double total[kColumns] = {};
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      const T* from = partials + piece * p.cols * 2;
      for (std::int64_t c = begin; c < end; ++c) {
        total[c - begin] += static_cast<double>(from[c]);
      }
    }
    for (std::int64_t c = begin; c < end; ++c) {
      T* to = c < p.cols ? static_cast<T*>(p.dweight) + c : static_cast<T*>(p.dbias) + c - p.cols;
      *to = static_cast<T>(total[c - begin]);
    }
  });
}

Status layer_norm_backward_target(const LayerNormBackward& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T* weight = static_cast<const T*>(p.weight);
    T* partials = reinterpret_cast<T*>(p.workspace);
    for_ranges(context, p.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
      T* dweight = nullptr;
      if (p.dweight != nullptr) {
        dweight = partials + begin / kRows * p.cols * 2;
        std::fill(dweight, dweight + 2 * p.cols, T(0));
      }
      for (std::int64_t r = begin; r < end; ++r) {
        const T* x = static_cast<const T*>(p.x) + r * p.cols;
        const T* dy = static_cast<const T*>(p.dy) + r * p.cols;
        const RowStatistics<T> s{static_cast<const T*>(p.mean)[r],
                                 static_cast<const T*>(p.rstd)[r]};
        if (p.dx != nullptr) {
          T* dx = static_cast<T*>(p.dx) + r * p.cols;
          if (weight != nullptr) {
            slope_of_row<T, true>(x, dy, weight, dx, p.cols, s);
          } else {
            slope_of_row<T, false>(x, dy, weight, dx, p.cols, s);
          }
        }
        if (dweight != nullptr) {
          add_row(x, dy, dweight, dweight + p.cols, p.cols, s);
        }
      }
    });
    if (p.dweight != nullptr) {
      add_partials<T>(p, partials, context);
    }
    return Status{};
  });
}

std::int64_t layer_norm_workspace_target(std::int64_t rows, std::int64_t cols) {
  return (rows + kRows - 1) / kRows * cols * 2;
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(layer_norm_forward_target);
HWY_EXPORT(layer_norm_backward_target);
HWY_EXPORT(layer_norm_workspace_target);

Status layer_norm_forward(const LayerNormForward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(layer_norm_forward_target)(p, context);
}

std::int64_t layer_norm_backward_workspace(std::int64_t rows, std::int64_t cols) {
  return HWY_DYNAMIC_DISPATCH(layer_norm_workspace_target)(rows, cols);
}

Status layer_norm_backward(const LayerNormBackward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(layer_norm_backward_target)(p, context);
}

}  // namespace basin::kernels
#endif

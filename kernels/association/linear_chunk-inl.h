// What both directions of chunked linear attention share. Included once per target.
#if defined(BASIN_KERNELS_ASSOCIATION_LINEAR_CHUNK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ASSOCIATION_LINEAR_CHUNK_INL_H_
#undef BASIN_KERNELS_ASSOCIATION_LINEAR_CHUNK_INL_H_
#else
#define BASIN_KERNELS_ASSOCIATION_LINEAR_CHUNK_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/math.h"
#include "kernels/simd/product-inl.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// Queries of a chunk, and the most keys that some of them see and others do not.
constexpr std::int64_t kChunk = 64;

/// to (rows, width) contiguous = phi(x) = elu(x) + 1 of rows `stride` apart; NaN stays NaN.
template <class T>
HWY_INLINE void feature_rows(const T* x, std::int64_t stride, std::int64_t rows, std::int64_t width,
                             T* to) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t d = 0; d < width; ++d) {
      const T value = x[r * stride + d];
      to[r * width + d] = value > T(0) ? value + T(1) : exp_of(value > T(0) ? T(0) : value);
    }
  }
}

/// dx = dphi phi'(x), given phi(x): the derivative is 1 above 0 and phi(x) itself below.
template <class T>
HWY_INLINE void feature_slope(const T* x, const T* phi, const T* dphi, std::int64_t width, T* dx) {
  for (std::int64_t d = 0; d < width; ++d) {
    dx[d] = dphi[d] * (x[d] > T(0) ? T(1) : phi[d]);
  }
}

/// to[d] += scale x[d].
template <class T>
HWY_INLINE void add_scaled(const T* x, T scale, std::int64_t count, T* to) {
  for (std::int64_t d = 0; d < count; ++d) {
    to[d] += scale * x[d];
  }
}

/// A matrix that is summed up in the layout that product() reads: rows x columns in panels.
template <class T>
class PanelSum {
 public:
  PanelSum(T* data, std::int64_t rows, std::int64_t columns)
      : data_(data), rows_(rows), columns_(columns) {
    std::fill(data, data + packed_size<T>(rows, columns), T(0));
  }

  /// += A B with A (rows x depth), B (depth x columns) packed.
  HWY_NOINLINE void add(const Left<T>& a, const Packed<T>& b, std::int64_t depth) {
    const T* from = b.data;
    for (std::int64_t begin = 0; begin < columns_; begin += kPanel<T>) {
      product_panel(rows_, std::min(kPanel<T>, columns_ - begin), depth, a, from, kPanel<T>,
                    data_ + begin * rows_, kPanel<T>, Update<T>{T(1), T(1)});
      from += b.panel_stride;
    }
  }

  Packed<T> packed() const { return Packed<T>::of(data_, rows_); }

 private:
  T* data_;
  std::int64_t rows_, columns_;
};

/// to (rows x columns) += weights times B, where row r takes its first count(r) weights and rows of
/// B only, count not falling: what a row does not see is never multiplied, not even by 0.
template <class T, class Count>
HWY_INLINE void add_prefixes(std::int64_t rows, std::int64_t columns, const T* weights,
                             std::int64_t weights_row, const Packed<T>& b, T* to,
                             std::int64_t to_row, Count&& count) {
  const Update<T> update{T(1), T(1)};
  for (std::int64_t r = 0; r < rows; r += kBlockRows) {
    const std::int64_t group = std::min<std::int64_t>(kBlockRows, rows - r);
    const std::int64_t common = count(r);
    if (common > 0) {
      product(group, columns, common, Left<T>{weights + r * weights_row, weights_row, 1}, b,
              to + r * to_row, to_row, update);
    }
    for (std::int64_t g = r + 1; g < r + group; ++g) {
      if (const std::int64_t own = count(g); own > common) {
        product(1, columns, own - common,
                Left<T>{weights + g * weights_row + common, weights_row, 1}, b.from_row(common),
                to + g * to_row, to_row, update);
      }
    }
  }
}

/// The same for weights and rows of B from first(r) to `end`, first not falling.
template <class T, class First>
HWY_INLINE void add_suffixes(std::int64_t rows, std::int64_t columns, std::int64_t end,
                             const T* weights, std::int64_t weights_row, const Packed<T>& b, T* to,
                             std::int64_t to_row, First&& first) {
  const Update<T> update{T(1), T(1)};
  for (std::int64_t r = 0; r < rows; r += kBlockRows) {
    const std::int64_t group = std::min<std::int64_t>(kBlockRows, rows - r);
    const std::int64_t common = first(r + group - 1);
    for (std::int64_t g = r; g + 1 < r + group; ++g) {
      if (const std::int64_t own = first(g); own < common) {
        product(1, columns, common - own, Left<T>{weights + g * weights_row + own, weights_row, 1},
                b.from_row(own), to + g * to_row, to_row, update);
      }
    }
    if (common < end) {
      product(group, columns, end - common,
              Left<T>{weights + r * weights_row + common, weights_row, 1}, b.from_row(common),
              to + r * to_row, to_row, update);
    }
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

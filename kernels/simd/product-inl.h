// The inner loop of every matrix product here: a block of C in registers, one column of A and one
// row of B per step. Included once per target (no include guard of the usual kind).
//
//   C (R x V vectors) = sum over k of A(r, k) B(k, :)
//
// A is read one number at a time, so it may have any two strides: a transposed A costs nothing. B
// is read in whole vectors and lies in panels: V vectors of columns side by side, one row after the
// other. Each element of C is one chain of fused multiply-adds in the order of k, whatever the
// block around it looks like: a row of C has the same bits in a matrix of 1 row and of 1000.
#if defined(BASIN_KERNELS_SIMD_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_SIMD_PRODUCT_INL_H_
#undef BASIN_KERNELS_SIMD_PRODUCT_INL_H_
#else
#define BASIN_KERNELS_SIMD_PRODUCT_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// 32 registers hold 12 x 2 of C, two of B and one of A; 16 registers 6 x 2.
#if HWY_TARGET <= HWY_AVX3
inline constexpr int kBlockRows = 12;
#else
inline constexpr int kBlockRows = 6;
#endif
inline constexpr int kPanelVectors = 2;

template <class T>
inline constexpr std::int64_t kLanesOf = HWY_LANES(T);
/// Columns of a panel.
template <class T>
inline constexpr std::int64_t kPanel = kPanelVectors* kLanesOf<T>;

/// A matrix read one number at a time: element (r, k) is data[r * row + k * column].
template <class T>
struct Left {
  const T* data;
  std::int64_t row;
  std::int64_t column;

  Left at(std::int64_t r, std::int64_t k) const {
    return {data + r * row + k * column, row, column};
  }
};

/// What happens to a finished block: C = alpha C_new + beta C + bias.
template <class T>
struct Update {
  T alpha;
  T beta;                   ///< 0: C is not read
  const T* bias = nullptr;  ///< one number for each column, or null
};

// Stores the first `columns` of one row of a block.
template <int V, class T, class Vector>
HWY_INLINE void store_row(T* c, const Vector* sum, std::int64_t columns, const Update<T>& update) {
  const hn::ScalableTag<T> d;
  const auto alpha = hn::Set(d, update.alpha);
  const auto beta = hn::Set(d, update.beta);
  for (int v = 0; v < V; ++v) {
    const std::int64_t left = columns - v * kLanesOf<T>;
    T* to = c + v * kLanesOf<T>;
    auto value = hn::Mul(alpha, sum[v]);
    if (left >= kLanesOf<T>) {
      if (update.beta != T(0)) {
        value = hn::MulAdd(beta, hn::LoadU(d, to), value);
      }
      if (update.bias != nullptr) {
        value = hn::Add(value, hn::LoadU(d, update.bias + v * kLanesOf<T>));
      }
      hn::StoreU(value, d, to);
    } else if (left > 0) {
      const auto mask = hn::FirstN(d, static_cast<std::size_t>(left));
      if (update.beta != T(0)) {
        value = hn::MulAdd(beta, hn::MaskedLoad(mask, d, to), value);
      }
      if (update.bias != nullptr) {
        value = hn::Add(value, hn::MaskedLoad(mask, d, update.bias + v * kLanesOf<T>));
      }
      hn::BlendedStore(value, mask, d, to);
    }
  }
}

template <int R, int V, class T>
HWY_INLINE void product_block(std::int64_t depth, const Left<T>& a, const T* b, std::int64_t b_row,
                              T* c, std::int64_t c_row, std::int64_t columns,
                              const Update<T>& update) {
  const hn::ScalableTag<T> d;
  hn::Vec<decltype(d)> sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sum[r][v] = hn::Zero(d);
    }
  }
  const T* a_column = a.data;
  for (std::int64_t k = 0; k < depth; ++k) {
    hn::Vec<decltype(d)> b_vector[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      b_vector[v] = hn::LoadU(d, b + v * kLanesOf<T>);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const auto a_value = hn::Set(d, a_column[r * a.row]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        sum[r][v] = hn::MulAdd(a_value, b_vector[v], sum[r][v]);
      }
    }
    a_column += a.column;
    b += b_row;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    store_row<V>(c + r * c_row, sum[r], columns, update);
  }
}

/// C (rows x columns, columns <= kPanel) from one panel of B, whose rows are `b_row` apart and may
/// be read up to the full width of the vectors needed for `columns`.
template <class T>
HWY_INLINE void product_panel(std::int64_t rows, std::int64_t columns, std::int64_t depth,
                              const Left<T>& a, const T* b, std::int64_t b_row, T* c,
                              std::int64_t c_row, const Update<T>& update) {
  std::int64_t r = 0;
  if (columns > kLanesOf<T>) {
    for (; r + kBlockRows <= rows; r += kBlockRows) {
      product_block<kBlockRows, 2>(depth, a.at(r, 0), b, b_row, c + r * c_row, c_row, columns,
                                   update);
    }
    for (; r + 4 <= rows; r += 4) {
      product_block<4, 2>(depth, a.at(r, 0), b, b_row, c + r * c_row, c_row, columns, update);
    }
    for (; r < rows; ++r) {
      product_block<1, 2>(depth, a.at(r, 0), b, b_row, c + r * c_row, c_row, columns, update);
    }
  } else {
    for (; r + kBlockRows <= rows; r += kBlockRows) {
      product_block<kBlockRows, 1>(depth, a.at(r, 0), b, b_row, c + r * c_row, c_row, columns,
                                   update);
    }
    for (; r + 4 <= rows; r += 4) {
      product_block<4, 1>(depth, a.at(r, 0), b, b_row, c + r * c_row, c_row, columns, update);
    }
    for (; r < rows; ++r) {
      product_block<1, 1>(depth, a.at(r, 0), b, b_row, c + r * c_row, c_row, columns, update);
    }
  }
}

/// Elements of a packed (depth x columns) matrix: whole panels.
template <class T>
constexpr std::int64_t packed_size(std::int64_t depth, std::int64_t columns) {
  return (columns + kPanel<T> - 1) / kPanel<T> * kPanel<T> * depth;
}

/// Packs B (depth x columns), rows `row` apart, into panels; missing columns become 0.
template <class T>
HWY_NOINLINE void pack(const T* b, std::int64_t row, std::int64_t depth, std::int64_t columns,
                       T* to) {
  for (std::int64_t begin = 0; begin < columns; begin += kPanel<T>) {
    const std::int64_t count = std::min(kPanel<T>, columns - begin);
    for (std::int64_t k = 0; k < depth; ++k, to += kPanel<T>) {
      const T* from = b + k * row + begin;
      if (count == kPanel<T>) {
        for (std::int64_t n = 0; n < kPanel<T>; ++n) {
          to[n] = from[n];
        }
      } else {
        for (std::int64_t n = 0; n < count; ++n) {
          to[n] = from[n];
        }
        for (std::int64_t n = count; n < kPanel<T>; ++n) {
          to[n] = T(0);
        }
      }
    }
  }
}

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void transpose_4x4(const float* from, std::int64_t row, float* to) {
  for (std::int64_t k = 0; k < 4; ++k) {
    for (std::int64_t n = 0; n < 4; ++n) {
      to[k * kPanel<float> + n] = from[n * row + k];
    }
  }
}
#else
// to[k * kPanel + n] = from[n * row + k] for 4 rows n and 4 columns k.
HWY_INLINE void transpose_4x4(const float* from, std::int64_t row, float* to) {
  const hn::FixedTag<float, 4> d;
  const auto r0 = hn::LoadU(d, from);
  const auto r1 = hn::LoadU(d, from + row);
  const auto r2 = hn::LoadU(d, from + 2 * row);
  const auto r3 = hn::LoadU(d, from + 3 * row);
  const auto even_low = hn::InterleaveLower(d, r0, r2);
  const auto odd_low = hn::InterleaveLower(d, r1, r3);
  const auto even_high = hn::InterleaveUpper(d, r0, r2);
  const auto odd_high = hn::InterleaveUpper(d, r1, r3);
  hn::StoreU(hn::InterleaveLower(d, even_low, odd_low), d, to);
  hn::StoreU(hn::InterleaveUpper(d, even_low, odd_low), d, to + kPanel<float>);
  hn::StoreU(hn::InterleaveLower(d, even_high, odd_high), d, to + 2 * kPanel<float>);
  hn::StoreU(hn::InterleaveUpper(d, even_high, odd_high), d, to + 3 * kPanel<float>);
}
#endif

/// The same for a B that is stored transposed: element (k, n) is b[n * row + k].
template <class T>
HWY_NOINLINE void pack_transposed(const T* b, std::int64_t row, std::int64_t depth,
                                  std::int64_t columns, T* to) {
  constexpr std::int64_t kSquare = 4;
  for (std::int64_t begin = 0; begin < columns; begin += kPanel<T>, to += depth * kPanel<T>) {
    const std::int64_t count = std::min(kPanel<T>, columns - begin);
    const T* from = b + begin * row;
    for (std::int64_t n0 = 0; n0 < kPanel<T>; n0 += kSquare) {
      std::int64_t k = 0;
      if constexpr (std::is_same_v<T, float>) {
        for (; n0 + kSquare <= count && k + kSquare <= depth; k += kSquare) {
          transpose_4x4(from + n0 * row + k, row, to + k * kPanel<T> + n0);
        }
      }
      for (; k < depth; ++k) {
        for (std::int64_t n = n0; n < std::min(n0 + kSquare, kPanel<T>); ++n) {
          to[k * kPanel<T> + n] = n < count ? from[n * row + k] : T(0);
        }
      }
    }
  }
}

/// A packed matrix: panel n begins at data + n * panel_stride.
template <class T>
struct Packed {
  const T* data;
  std::int64_t panel_stride;

  /// As packed with this depth.
  static Packed of(const T* data, std::int64_t depth) { return {data, depth * kPanel<T>}; }
  /// Without its first k rows.
  Packed from_row(std::int64_t k) const { return {data + k * kPanel<T>, panel_stride}; }
};

/// C (rows x columns) = update of A (rows x depth) times the first `depth` rows of a packed B.
template <class T>
HWY_NOINLINE void product(std::int64_t rows, std::int64_t columns, std::int64_t depth,
                          const Left<T>& a, const Packed<T>& b, T* c, std::int64_t c_row,
                          const Update<T>& update) {
  const T* panel = b.data;
  Update<T> here = update;
  for (std::int64_t begin = 0; begin < columns; begin += kPanel<T>, panel += b.panel_stride) {
    here.bias = update.bias == nullptr ? nullptr : update.bias + begin;
    product_panel(rows, std::min(kPanel<T>, columns - begin), depth, a, panel, kPanel<T>, c + begin,
                  c_row, here);
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

// Sums over a list of rows by number: what a query reads of the few keys that it keeps, and what it
// adds to their gradients. Included once per target.
#if defined(BASIN_KERNELS_ASSOCIATION_LIST_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ASSOCIATION_LIST_SUMS_INL_H_
#undef BASIN_KERNELS_ASSOCIATION_LIST_SUMS_INL_H_
#else
#define BASIN_KERNELS_ASSOCIATION_LIST_SUMS_INL_H_
#endif

#include <cstdint>

#include "kernels/simd/product-inl.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

/// Numbers of keys, as wide as T so that vectors of both have as many lanes.
template <class T>
using IndexOf = hwy::MakeSigned<T>;

/// Rows of a matrix and which of them, with a factor each.
template <class T>
struct RowList {
  const T* rows;
  std::int64_t stride;
  const IndexOf<T>* numbers;
  const T* factors;
  std::int64_t count;
};

// V vectors of columns from `column` on, or one of which only the first `left` lanes exist. Two
// chains of sums, so that one waits less for the other.
template <int V, bool kWhole, class T>
HWY_INLINE void add_list_columns(const RowList<T>& list, std::int64_t column, std::int64_t left,
                                 T* to) {
  const hn::ScalableTag<T> d;
  const auto mask = hn::FirstN(d, static_cast<std::size_t>(left));
  const auto load = [&](const T* from, int v) {
    if constexpr (kWhole) {
      return hn::LoadU(d, from + v * kLanesOf<T>);
    } else {
      return hn::MaskedLoad(mask, d, from);
    }
  };
  hn::Vec<decltype(d)> sum[V];
  hn::Vec<decltype(d)> other[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    sum[v] = load(to + column, v);
    other[v] = hn::Zero(d);
  }
  const T* rows = list.rows + column;
  std::int64_t n = 0;
  for (; n + 2 <= list.count; n += 2) {
    const T* first = rows + list.numbers[n] * list.stride;
    const T* second = rows + list.numbers[n + 1] * list.stride;
    const auto a = hn::Set(d, list.factors[n]);
    const auto b = hn::Set(d, list.factors[n + 1]);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sum[v] = hn::MulAdd(a, load(first, v), sum[v]);
      other[v] = hn::MulAdd(b, load(second, v), other[v]);
    }
  }
  if (n < list.count) {
    const T* first = rows + list.numbers[n] * list.stride;
    const auto a = hn::Set(d, list.factors[n]);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sum[v] = hn::MulAdd(a, load(first, v), sum[v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    const auto total = hn::Add(sum[v], other[v]);
    if constexpr (kWhole) {
      hn::StoreU(total, d, to + column + v * kLanesOf<T>);
    } else {
      hn::BlendedStore(total, mask, d, to + column);
    }
  }
}

/// to += the sum of factor times row over the list; rows of `width` numbers.
template <class T>
HWY_INLINE void add_list(const RowList<T>& list, std::int64_t width, T* to) {
  std::int64_t column = 0;
  for (; column + 4 * kLanesOf<T> <= width; column += 4 * kLanesOf<T>) {
    add_list_columns<4, true>(list, column, kLanesOf<T>, to);
  }
  for (; column + kLanesOf<T> <= width; column += kLanesOf<T>) {
    add_list_columns<1, true>(list, column, kLanesOf<T>, to);
  }
  if (column < width) {
    add_list_columns<1, false>(list, column, width - column, to);
  }
}

// The dot products of the rows of a list with y, whose V vectors stay in registers.
template <int V, class T>
HWY_INLINE void dots_in_registers(const RowList<T>& list, const T* y, T* dots) {
  const hn::ScalableTag<T> d;
  hn::Vec<decltype(d)> part[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    part[v] = hn::LoadU(d, y + v * kLanesOf<T>);
  }
  for (std::int64_t n = 0; n < list.count; ++n) {
    const T* row = list.rows + list.numbers[n] * list.stride;
    auto sum = hn::Mul(hn::LoadU(d, row), part[0]);
#pragma GCC unroll 4
    for (int v = 1; v < V; ++v) {
      sum = hn::MulAdd(hn::LoadU(d, row + v * kLanesOf<T>), part[v], sum);
    }
    dots[n] = hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

/// dots[n] = row n of the list times y (width); the factors are not used.
template <class T>
HWY_INLINE void list_dots(const RowList<T>& list, const T* y, std::int64_t width, T* dots) {
  switch (width) {
    case kLanesOf<T>: return dots_in_registers<1>(list, y, dots);
    case 2 * kLanesOf<T>: return dots_in_registers<2>(list, y, dots);
    case 4 * kLanesOf<T>: return dots_in_registers<4>(list, y, dots);
    default: break;
  }
  for (std::int64_t n = 0; n < list.count; ++n) {
    dots[n] = vector_dot(list.rows + list.numbers[n] * list.stride, y, width);
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

// What the packed recurrences share: the weights packed once for all time steps, and a step that is
// a product with them whose sums are used as soon as they are there. Included once per target.
//
// A step computes, for every batch item and hidden unit, `Sums` numbers (one per gate; one in a
// backward step), each a sum over k of A(item, k) B(k, unit). A panel holds the columns of B for a
// few units so that all sums of a unit come out of the same block of registers. With few items the
// columns, not the rows, must supply the independent chains of additions that keep the arithmetic
// busy: where there are enough registers, a panel is four vectors wide, not two as in a plain
// product.
#if defined(BASIN_KERNELS_RECURRENT_STEPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_RECURRENT_STEPS_INL_H_
#undef BASIN_KERNELS_RECURRENT_STEPS_INL_H_
#else
#define BASIN_KERNELS_RECURRENT_STEPS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "kernels/common/thread_pool.h"
#include "kernels/simd/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Vectors side by side in a panel, the gates of one vector of units or, with one sum, several
/// vectors of units; and items of a block. 32 registers hold 6 x 4 sums, four of B and one of A; 16
/// registers 6 x 2, 4 x 3 or 2 x 4.
#if HWY_TARGET <= HWY_AVX3
template <int Sums>
inline constexpr int kStepVectors = Sums == 1 ? 4 : Sums;
template <int Sums>
inline constexpr int kStepRows = 6;
#else
template <int Sums>
inline constexpr int kStepVectors = Sums == 1 ? 2 : Sums;
template <int Sums>
inline constexpr int kStepRows = Sums == 1 ? 6 : (Sums == 3 ? 4 : 2);
#endif

/// One vector of neighbouring units, or, not `kWhole`, the beginning of one.
template <class T, bool kWhole>
struct Units {
  std::int64_t first;
  std::int64_t count;

  using D = hn::ScalableTag<T>;
  /// Row `row` of an array with one number per unit; 0 beyond the last unit.
  HWY_INLINE hn::Vec<D> load(const T* row) const {
    const D d;
    if constexpr (kWhole) {
      return hn::LoadU(d, row + first);
    } else {
      return hn::MaskedLoad(hn::FirstN(d, static_cast<std::size_t>(count)), d, row + first);
    }
  }
  /// Has the memory of a later load or store fetched: a step goes to other pages than the one
  /// before it, where the machine foresees nothing.
  HWY_INLINE void expect(const T* row) const { __builtin_prefetch(row + first); }
  HWY_INLINE void store(hn::Vec<D> value, T* row) const {
    const D d;
    if constexpr (kWhole) {
      hn::StoreU(value, d, row + first);
    } else {
      hn::BlendedStore(value, hn::FirstN(d, static_cast<std::size_t>(count)), d, row + first);
    }
  }
};

/// Where B(k, unit) of sum s lies: data[k * depth + unit * unit + s * sum].
template <class T>
struct StepWeights {
  const T* data;
  std::int64_t unit, depth, sum;
};

/// Units per panel.
template <int Sums, class T>
inline constexpr std::int64_t kStepUnits = kStepVectors<Sums> / Sums* kLanesOf<T>;

template <int Sums, class T>
constexpr std::int64_t step_panels(std::int64_t width) {
  return (width + kStepUnits<Sums, T> - 1) / kStepUnits<Sums, T>;
}

/// Elements of a packed B.
template <int Sums, class T>
constexpr std::int64_t step_panels_size(std::int64_t width, std::int64_t depth) {
  return step_panels<Sums, T>(width) * depth * kStepVectors<Sums> * kLanesOf<T>;
}

/// Packs B (depth x width units) for `steps` steps, of which the first needs none; missing units
/// become 0.
template <int Sums, class T>
void pack_steps(const StepWeights<T>& b, std::int64_t width, std::int64_t depth, std::int64_t steps,
                T* to, const CpuContext& context) {
  if (steps < 2) {
    return;
  }
  constexpr std::int64_t kRow = kStepVectors<Sums> * kLanesOf<T>;
  context.pool->run(step_panels<Sums, T>(width), [&](std::int64_t panel) {
    for (std::int64_t v = 0; v < kStepVectors<Sums>; ++v) {
      const std::int64_t unit = panel * kStepUnits<Sums, T> + v / Sums * kLanesOf<T>;
      const std::int64_t count = std::clamp<std::int64_t>(width - unit, 0, kLanesOf<T>);
      const T* from = b.data + unit * b.unit + v % Sums * b.sum;
      T* column = to + panel * depth * kRow + v * kLanesOf<T>;
      for (std::int64_t k = 0; k < depth; ++k) {
        for (std::int64_t n = 0; n < kLanesOf<T>; ++n) {
          column[k * kRow + n] = n < count ? from[n * b.unit + k * b.depth] : T(0);
        }
      }
    }
  });
}

// sums (rows x V vectors) of one panel.
template <int R, int V, class T>
HWY_NOINLINE void panel_sums(std::int64_t rows, std::int64_t depth, const Left<T>& a,
                             const T* panel, T* sums) {
  if constexpr (R > 1) {
    if (rows < R) {
      panel_sums<R - 1, V>(rows, depth, a, panel, sums);
      return;
    }
  }
  constexpr std::int64_t kRow = V * kLanesOf<T>;
  product_block<R, V>(depth, a, panel, kRow, sums, kRow, kRow, Update<T>{T(1), T(0)});
}

// Calls cell(row, units, sums) for the items [begin, end) and all vectors of units of a panel.
template <int Sums, class T, class Cell>
HWY_INLINE void for_units(std::int64_t begin, std::int64_t end, std::int64_t first,
                          std::int64_t width, T* sums, const Cell& cell) {
  const std::int64_t last = std::min(width, first + kStepUnits<Sums, T>);
  const std::int64_t whole = last - (last - first) % kLanesOf<T>;
  for (std::int64_t row = begin; row < end; ++row, sums += kStepVectors<Sums> * kLanesOf<T>) {
    T* of_units = sums;
    for (std::int64_t unit = first; unit < whole; unit += kLanesOf<T>) {
      cell(row, Units<T, true>{unit, kLanesOf<T>}, of_units);
      of_units += Sums * kLanesOf<T>;
    }
    if (whole < last) {
      cell(row, Units<T, false>{whole, last - whole}, of_units);
    }
  }
}

/// One step of `rows` items: calls `cell(row, units, sums)` for every item and vector of units,
/// with `Sums` vectors of sums, which the cell may overwrite. Of several cells each is called for
/// all items of a block before the next: what hangs on a long chain of operations is split, so that
/// the chains of the items overlap. `used` is the number of rows of B that take part: all of them,
/// or 0 in the first step, which has no state before it.
template <int Sums, class T, class... Cells>
HWY_INLINE void step(std::int64_t rows, std::int64_t width, std::int64_t depth, std::int64_t used,
                     const Left<T>& a, const T* packed, const Cells&... cells) {
  constexpr int kRows = kStepRows<Sums>;
  constexpr std::int64_t kRow = kStepVectors<Sums> * kLanesOf<T>;
  HWY_ALIGN T sums[kRows * kRow];
  for (std::int64_t first = 0; first < width; first += kStepUnits<Sums, T>) {
    for (std::int64_t r = 0; r < rows; r += kRows) {
      const std::int64_t end = std::min<std::int64_t>(rows, r + kRows);
      panel_sums<kRows, kStepVectors<Sums>>(end - r, used, a.at(r, 0), packed, sums);
      (for_units<Sums>(r, end, first, width, sums, cells), ...);
    }
    packed += depth * kRow;
  }
}

/// Calls `function(begin, end)` for pieces of the B batch items. An item has the same bits whatever
/// items go with it, so, other than elsewhere, the pieces may follow the number of threads. Two
/// items are the fewest worth a thread: one alone takes as long, reading the weights.
template <class F>
void for_items(const CpuContext& context, std::int64_t B, F&& function) {
  constexpr std::int64_t kFewest = 2;
  constexpr std::int64_t kMost = 24;
  const std::int64_t threads = context.pool->threads();
  const std::int64_t rounds = (B + kMost * threads - 1) / (kMost * threads);
  const std::int64_t pieces = std::max<std::int64_t>(1, rounds * threads);
  for_ranges(context, B, std::max(kFewest, (B + pieces - 1) / pieces), function);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

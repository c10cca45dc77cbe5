// Blocks of gathered keys and values for a tile of queries. Included once per target.
#if defined(BASIN_KERNELS_ASSOCIATION_TILE_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BASIN_KERNELS_ASSOCIATION_TILE_BLOCKS_INL_H_
#undef BASIN_KERNELS_ASSOCIATION_TILE_BLOCKS_INL_H_
#else
#define BASIN_KERNELS_ASSOCIATION_TILE_BLOCKS_INL_H_
#endif

#include <hwy/cache_control.h>

#include <algorithm>
#include <cstdint>

#include "kernels/association/tile_weights-inl.h"
#include "kernels/association/visible_tile.h"
#include "kernels/simd/philox-inl.h"
#include "kernels/simd/product-inl.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

constexpr std::int64_t kTileKeys = 128;  // of a block
constexpr std::int64_t kTileRows = VisibleTile::kQueries;

/// `count` rows of x by number, one below the other: in place if they are neighbours, else copied.
template <class T>
struct GatheredRows {
  const T* data;
  std::int64_t stride;

  GatheredRows(const T* x, std::int64_t x_row, const std::int32_t* numbers, std::int64_t count,
               std::int64_t width, T* copy)
      : data(x + numbers[0] * x_row), stride(x_row) {
    if (numbers[count - 1] - numbers[0] == count - 1) {
      return;
    }
    for (std::int64_t n = 0; n < count; ++n) {
      // Rows far from each other come from a far cache, and no hardware foresees the next.
      constexpr std::int64_t kAhead = 6;
      const T* later = x + numbers[std::min(n + kAhead, count - 1)] * x_row;
      for (std::int64_t c = 0; c < width; c += 64 / static_cast<std::int64_t>(sizeof(T))) {
        hwy::Prefetch(later + c);
      }
      const T* from = x + numbers[n] * x_row;
      for (std::int64_t c = 0; c < width; ++c) {
        copy[n * width + c] = from[c];
      }
    }
    data = copy;
    stride = width;
  }
  const T* row(std::int64_t n) const { return data + n * stride; }

  /// Whether all numbers of a row are finite: then a weight of 0 may multiply them.
  bool is_finite(std::int64_t n, std::int64_t width) const {
    T lane[16] = {};
    std::int64_t c = 0;
    for (; c + 16 <= width; c += 16) {
      for (std::int64_t l = 0; l < 16; ++l) {
        lane[l] += row(n)[c + l] * T(0);
      }
    }
    for (; c < width; ++c) {
      lane[0] += row(n)[c] * T(0);
    }
    T sum = 0;
    for (const T x : lane) {
      sum += x;
    }
    return sum == T(0);
  }
};

/// The rows of a block that are not finite. Queries that see none of them go through products with
/// 0 in their place, and so get the bits that they get whatever those rows hold; the few others are
/// taken pair by pair.
template <class T>
struct UnfitRows {
  std::int32_t numbers[kTileKeys];
  std::int64_t count = 0;

  /// Finds them and clears them in `packed`, a copy of the block as pack() made it.
  void find(const GatheredRows<T>& rows, std::int64_t block, std::int64_t width, T* packed) {
    for (std::int64_t n = 0; n < block; ++n) {
      if (rows.is_finite(n, width)) {
        continue;
      }
      numbers[count++] = static_cast<std::int32_t>(n);
      for (std::int64_t c = 0; c < width; c += kPanel<T>) {
        T* row = packed + c * block + n * kPanel<T>;
        std::fill(row, row + kPanel<T>, T(0));
      }
    }
  }
  bool seen_by(const VisibleTile& tile, std::int64_t i, const std::int32_t* keys) const {
    for (std::int64_t n = 0; n < count; ++n) {
      if (tile.sees(i, keys[numbers[n]])) {
        return true;
      }
    }
    return false;
  }
};

/// The draws of query i for `count` neighbouring keys, as Visibility::drawn() takes them where each
/// key has its own.
class DrawsOfKeys {
 public:
  DrawsOfKeys(const VisibleTile& tile, std::int64_t i, std::int64_t first, std::int64_t count)
      : bound_(static_cast<std::uint32_t>(tile.seen.keep_below)),  // below 2^32: it is random
        words_(drawn_ + (first & 3)) {
    const std::uint64_t row = static_cast<std::uint64_t>(i >> tile.seen.query_shift) << 32;
    philox_row(tile.seen.draw_key(), row | static_cast<std::uint64_t>(first >> 2),
               (static_cast<std::uint64_t>(tile.b) << 32) | static_cast<std::uint64_t>(tile.h),
               ((first & 3) + count + 3) >> 2, drawn_);
  }
  DrawsOfKeys(const DrawsOfKeys&) = delete;
  DrawsOfKeys& operator=(const DrawsOfKeys&) = delete;

  bool operator[](std::int64_t t) const { return words_[t] < bound_; }

 private:
  std::uint32_t bound_;
  std::uint32_t drawn_[kTileKeys + 8 + kPhiloxExcess];
  const std::uint32_t* words_;
};

/// VisibleTile::list().
inline std::int64_t list_keys(const VisibleTile& tile, std::int32_t* keys) {
  const Visibility& seen = tile.seen;
  if (!tile.shares_draws() || seen.key_shift != 0 || seen.has_window()) {
    return tile.list(keys);
  }
  const std::int64_t last = seen.prefix(tile.b, tile.end - 1);
  std::int64_t count = 0;
  for (std::int64_t first = 0; first < last; first += kTileKeys) {
    const std::int64_t block = std::min(kTileKeys, last - first);
    const DrawsOfKeys drawn(tile, tile.begin, first, block);
    for (std::int64_t t = 0; t < block; ++t) {
      keys[count] = static_cast<std::int32_t>(first + t);
      count += drawn[t] ? 1 : 0;
    }
  }
  return count;
}

/// Which keys of a block a query of the tile sees.
struct BlockSight {
  std::uint8_t sees[kTileKeys];
  std::int64_t visible = 0;

  void look(const VisibleTile& tile, std::int64_t i, const std::int32_t* numbers,
            std::int64_t count) {
    const Visibility& seen = tile.seen;
    visible = 0;
    const bool neighbours = numbers[count - 1] - numbers[0] == count - 1;
    const bool only_draws = !seen.has_window() && seen.mask == nullptr && seen.key_shift == 0 &&
                            seen.is_random() && !tile.shares_draws();
    if (!neighbours || !only_draws) {
      SightOfQuery sight(tile, i);
      for (std::int64_t t = 0; t < count; ++t) {
        sees[t] = sight(numbers[t]) ? 1 : 0;
        visible += sees[t];
      }
      return;
    }
    const DrawsOfKeys drawn(tile, i, numbers[0], count);
    const std::int64_t end =
        std::clamp<std::int64_t>(seen.prefix(tile.b, i) - numbers[0], 0, count);
    std::int32_t found = 0;
    for (std::int64_t t = 0; t < end; ++t) {
      sees[t] = drawn[t] ? 1 : 0;
      found += sees[t];
    }
    std::fill(sees + end, sees + count, std::uint8_t{0});
    visible = found;
  }
};

template <class T>
HWY_INLINE void add_to_row(const T* x, T factor, std::int64_t width, T* to) {
  for (std::int64_t c = 0; c < width; ++c) {
    to[c] += factor * x[c];
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

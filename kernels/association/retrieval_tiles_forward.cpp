#include <cmath>
#include <limits>

#include "kernels/association/retrieval_tiles.h"
#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/retrieval_tiles_forward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/tile_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// The scratch of a thread, in elements; the numbers of keys come last.
template <class T>
struct TileForwardLayout {
  std::int64_t keys, values, copy, scores, rows, list;

  explicit TileForwardLayout(const RetrievalForward& p)
      : keys(packed_size<T>(p.D, kTileKeys)),
        values(packed_size<T>(kTileKeys, p.Dv)),
        copy(kTileKeys * (p.D + p.Dv)),
        scores(kBlockRows * kTileKeys),
        rows(kTileRows * (p.Dv + 2)),
        list(p.visibility.M) {}
  std::int64_t elements() const { return keys + values + copy + scores + rows + list; }
};

template <class T>
void tile_forward(const RetrievalForward& p, const VisibleTile& tile, T* scratch) {
  const TileForwardLayout<T> layout(p);
  const std::int64_t D = p.D;
  const std::int64_t Dv = p.Dv;
  const std::int64_t rows = tile.end - tile.begin;
  const T beta = static_cast<const T*>(p.beta)[tile.h];
  const T* k = p.k.head<T>(tile.b, tile.h);
  const T* v = p.v.head<T>(tile.b, tile.h);
  T* packed_keys = scratch;
  T* packed_values = packed_keys + layout.keys;
  T* copy = packed_values + layout.values;
  T* scores = copy + layout.copy;
  T* maximum = scores + layout.scores;
  T* sum = maximum + kTileRows;
  T* out = sum + kTileRows;
  auto* list = reinterpret_cast<std::int32_t*>(maximum + layout.rows);
  std::fill(maximum, maximum + rows, -std::numeric_limits<T>::infinity());
  std::fill(sum, sum + rows, T(0));
  std::fill(out, out + rows * Dv, T(0));
  const TileWeights<T> weights(p.separation);
  BlockSight sight;
  const Left<T> q{p.q.head<T>(tile.b, tile.h) + tile.begin * p.q.row_stride, p.q.row_stride, 1};

  const std::int64_t total = list_keys(tile, list);
  for (std::int64_t n = 0; n < total; n += kTileKeys) {
    const std::int64_t count = std::min(kTileKeys, total - n);
    const std::int32_t* numbers = list + n;
    const bool all = tile.sees_all(numbers[0], numbers[count - 1]);
    const GatheredRows<T> key_rows(k, p.k.row_stride, numbers, count, D, copy);
    const GatheredRows<T> value_rows(v, p.v.row_stride, numbers, count, Dv, copy + kTileKeys * D);
    pack_transposed(key_rows.data, key_rows.stride, D, count, packed_keys);
    pack(value_rows.data, value_rows.stride, count, Dv, packed_values);
    UnfitRows<T> unfit;
    if (!all) {
      unfit.find(value_rows, count, Dv, packed_values);
    }
    for (std::int64_t r = 0; r < rows; r += kBlockRows) {
      const std::int64_t group = std::min<std::int64_t>(kBlockRows, rows - r);
      product(group, count, D, q.at(r, 0), Packed<T>::of(packed_keys, D), scores, kTileKeys,
              Update<T>{beta, T(0)});
      for (std::int64_t g = 0; g < group; ++g) {
        T* row = scores + g * kTileKeys;
        std::int64_t visible = count;
        if (!all) {
          sight.look(tile, tile.begin + r + g, numbers, count);
          visible = sight.visible;
          for (std::int64_t t = 0; t < count; ++t) {
            row[t] = sight.sees[t] != 0 ? row[t] : -std::numeric_limits<T>::infinity();
          }
        }
        if (visible == 0) {
          std::fill(row, row + count, T(0));
          continue;
        }
        const T old = maximum[r + g];
        const T top = std::max(old, vector_max(row, count));
        const T added = weights.weigh(row, count, top);
        const T keep = weights.shrink(old, top);
        if (keep != T(1)) {
          vector_scale(out + (r + g) * Dv, out + (r + g) * Dv, Dv, keep);
        }
        sum[r + g] = keep * sum[r + g] + added;
        maximum[r + g] = top;
      }
      const Packed<T> values = Packed<T>::of(packed_values, count);
      const Update<T> accumulate{T(1), T(1)};
      if (unfit.count == 0) {
        product(group, Dv, count, Left<T>{scores, kTileKeys, 1}, values, out + r * Dv, Dv,
                accumulate);
        continue;
      }
      for (std::int64_t g = 0; g < group; ++g) {
        const std::int64_t i = tile.begin + r + g;
        const T* row = scores + g * kTileKeys;
        T* to = out + (r + g) * Dv;
        if (!unfit.seen_by(tile, i, numbers)) {
          product(1, Dv, count, Left<T>{row, kTileKeys, 1}, values, to, Dv, accumulate);
          continue;
        }
        for (std::int64_t t = 0; t < count; ++t) {
          if (tile.sees(i, numbers[t])) {
            add_to_row(value_rows.row(t), row[t], Dv, to);
          }
        }
      }
    }
  }
  const std::int64_t at = (tile.b * p.H + tile.h) * p.visibility.L + tile.begin;
  for (std::int64_t r = 0; r < rows; ++r) {
    T* to = p.out.head<T>(tile.b, tile.h) + (tile.begin + r) * p.out.row_stride;
    if (sum[r] == T(0)) {
      std::fill(to, to + Dv, T(0));
    } else {
      sum[r] = weights.level(sum[r], maximum[r]);
      vector_scale(out + r * Dv, to, Dv, T(1) / sum[r]);
    }
    T* statistics = static_cast<T*>(p.statistics) + 3 * (at + r);
    statistics[0] = maximum[r];
    statistics[1] = sum[r];
    statistics[2] = -std::numeric_limits<T>::infinity();
    if (p.steps != nullptr) {
      p.steps[at + r] = 1;
    }
  }
}

template <class T>
void tiles_forward(const RetrievalForward& p, const CpuContext& context) {
  const std::int64_t L = p.visibility.L;
  const std::int64_t tiles = (L + kTileRows - 1) / kTileRows;
  const std::int64_t scratch = TileForwardLayout<T>(p).elements();
  context.pool->run(p.B * p.H * tiles, [&](std::int64_t chunk) {
    const std::int64_t head = chunk / tiles;
    const std::int64_t begin = (tiles - 1 - chunk % tiles) * kTileRows;
    tile_forward(
        p, VisibleTile{p.visibility, head / p.H, head % p.H, begin, std::min(begin + kTileRows, L)},
        static_cast<T*>(p.workspace) + ThreadPool::thread_index() * scratch);
  });
}

void tiles_forward_target(const RetrievalForward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    tiles_forward<double>(p, context);
  } else {
    tiles_forward<float>(p, context);
  }
}

std::int64_t tiles_forward_workspace_target(const RetrievalForward& p, const CpuContext& context) {
  const std::int64_t elements = p.dtype == DType::f64 ? TileForwardLayout<double>(p).elements()
                                                      : TileForwardLayout<float>(p).elements();
  return context.pool->threads() * elements * static_cast<std::int64_t>(size_of(p.dtype));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(tiles_forward_target);
HWY_EXPORT(tiles_forward_workspace_target);

void retrieval_tiles_forward(const RetrievalForward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(tiles_forward_target)(p, context);
}

std::int64_t retrieval_tiles_forward_workspace(const RetrievalForward& p,
                                               const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(tiles_forward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

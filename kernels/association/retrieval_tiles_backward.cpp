// For a tile of queries and a block of the keys it may see, with delta = dout.out:
//   P = exp(beta Q K^T - largest) / level;  dS = P o (dO V^T - delta), 0 where a pair is hidden
//   polynomial: P = relu(beta Q K^T / largest)^p / level;  dS = p P / S o (dO V^T - delta)
//   dV += P^T dO;  dK += beta dS^T Q;  dQ += beta dS K
#include <cmath>

#include "kernels/association/head_parts.h"
#include "kernels/association/retrieval_tiles.h"
#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/retrieval_tiles_backward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/tile_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// The scratch of a thread, in elements; the numbers of keys come last.
template <class T>
struct TileBackwardLayout {
  std::int64_t keys_transposed, values_transposed, keys, queries, douts, copy, pairs, sums, deltas,
      list;

  explicit TileBackwardLayout(const RetrievalBackward& p)
      : keys_transposed(packed_size<T>(p.D, kTileKeys)),
        values_transposed(packed_size<T>(p.Dv, kTileKeys)),
        keys(packed_size<T>(kTileKeys, p.D)),
        queries(packed_size<T>(kTileRows, p.D)),
        douts(packed_size<T>(kTileRows, p.Dv)),
        copy(kTileKeys * (p.D + p.Dv)),
        pairs(2 * kTileRows * kTileKeys),
        sums(kTileKeys * std::max(p.D, p.Dv)),
        deltas(kTileRows),
        list(p.visibility.M) {}
  std::int64_t elements() const {
    return keys_transposed + values_transposed + keys + queries + douts + copy + pairs + sums +
           deltas + list;
  }
};

// to (rows numbered) += factor from (count, width).
template <class T>
void scatter_rows(const T* from, std::int64_t width, T factor, const std::int32_t* numbers,
                  std::int64_t count, T* to, std::int64_t to_row) {
  for (std::int64_t n = 0; n < count; ++n) {
    add_to_row(from + n * width, factor, width, to + numbers[n] * to_row);
  }
}

template <class T>
void tile_backward(const RetrievalBackward& p, const VisibleTile& tile, const CollectedRows<T>& to,
                   T* scratch, double& dbeta) {
  const TileBackwardLayout<T> layout(p);
  const std::int64_t D = p.D;
  const std::int64_t Dv = p.Dv;
  const std::int64_t rows = tile.end - tile.begin;
  const T beta = static_cast<const T*>(p.beta)[tile.h];
  const auto at_tile = [&](const HeadView& view) {
    return view.head<T>(tile.b, tile.h) + tile.begin * view.row_stride;
  };
  const T* k = p.k.head<T>(tile.b, tile.h);
  const T* v = p.v.head<T>(tile.b, tile.h);
  const T* q_rows = at_tile(p.q);
  const T* dout_rows = at_tile(p.dout);
  T* dq = at_tile(p.dq);
  const T* statistics = static_cast<const T*>(p.statistics) +
                        3 * ((tile.b * p.H + tile.h) * p.visibility.L + tile.begin);
  T* keys_transposed = scratch;
  T* values_transposed = keys_transposed + layout.keys_transposed;
  T* keys = values_transposed + layout.values_transposed;
  T* queries = keys + layout.keys;
  T* douts = queries + layout.queries;
  T* copy = douts + layout.douts;
  T* weights = copy + layout.copy;
  T* slopes = weights + kTileRows * kTileKeys;
  T* sums = weights + layout.pairs;
  T* delta = sums + layout.sums;
  auto* list = reinterpret_cast<std::int32_t*>(delta + layout.deltas);

  pack(q_rows, p.q.row_stride, rows, D, queries);
  pack(dout_rows, p.dout.row_stride, rows, Dv, douts);
  // Rows as a list of their own numbers, to ask whether they are finite.
  bool queries_clean = true;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int32_t zero = 0;
    queries_clean =
        queries_clean &&
        GatheredRows<T>(q_rows + r * p.q.row_stride, 0, &zero, 1, D, copy).is_finite(0, D) &&
        GatheredRows<T>(dout_rows + r * p.dout.row_stride, 0, &zero, 1, Dv, copy).is_finite(0, Dv);
    delta[r] =
        vector_dot(dout_rows + r * p.dout.row_stride, at_tile(p.out) + r * p.out.row_stride, Dv);
    std::fill(dq + r * p.dq.row_stride, dq + r * p.dq.row_stride + D, T(0));
  }
  const TileWeights<T> rule(p.separation);
  BlockSight sight;
  const Left<T> q{q_rows, p.q.row_stride, 1};
  const Left<T> dout{dout_rows, p.dout.row_stride, 1};

  const std::int64_t total = list_keys(tile, list);
  for (std::int64_t n = 0; n < total; n += kTileKeys) {
    const std::int64_t count = std::min(kTileKeys, total - n);
    const std::int32_t* numbers = list + n;
    const bool all = tile.sees_all(numbers[0], numbers[count - 1]);
    const GatheredRows<T> key_rows(k, p.k.row_stride, numbers, count, D, copy);
    const GatheredRows<T> value_rows(v, p.v.row_stride, numbers, count, Dv, copy + kTileKeys * D);
    pack_transposed(key_rows.data, key_rows.stride, D, count, keys_transposed);
    pack_transposed(value_rows.data, value_rows.stride, Dv, count, values_transposed);
    pack(key_rows.data, key_rows.stride, count, D, keys);
    UnfitRows<T> unfit;
    if (!all) {
      unfit.find(key_rows, count, D, keys);
    }
    product(rows, count, D, q, Packed<T>::of(keys_transposed, D), weights, kTileKeys,
            Update<T>{beta, T(0)});
    product(rows, count, Dv, dout, Packed<T>::of(values_transposed, Dv), slopes, kTileKeys,
            Update<T>{T(1), T(0)});
    for (std::int64_t r = 0; r < rows; ++r) {
      T* weight = weights + r * kTileKeys;
      T* slope = slopes + r * kTileKeys;
      const T level = statistics[3 * r + 1];
      if (level == T(0)) {  // a query that sees nothing
        std::fill(weight, weight + count, T(0));
        std::fill(slope, slope + count, T(0));
        continue;
      }
      rule.weights_and_slopes(weight, slope, count, statistics[3 * r], level, delta[r]);
      if (!all) {
        sight.look(tile, tile.begin + r, numbers, count);
        for (std::int64_t t = 0; t < count; ++t) {
          weight[t] = sight.sees[t] != 0 ? weight[t] : T(0);
          slope[t] = sight.sees[t] != 0 ? slope[t] : T(0);
        }
      }
    }
    const Packed<T> packed_keys = Packed<T>::of(keys, count);
    const Update<T> accumulate{T(1), T(1)};
    if (unfit.count == 0) {
      product(rows, D, count, Left<T>{slopes, kTileKeys, 1}, packed_keys, dq, p.dq.row_stride,
              accumulate);
    }
    for (std::int64_t r = 0; unfit.count > 0 && r < rows; ++r) {
      const T* slope = slopes + r * kTileKeys;
      T* row = dq + r * p.dq.row_stride;
      if (!unfit.seen_by(tile, tile.begin + r, numbers)) {
        product(1, D, count, Left<T>{slope, kTileKeys, 1}, packed_keys, row, D, accumulate);
        continue;
      }
      for (std::int64_t t = 0; t < count; ++t) {
        if (tile.sees(tile.begin + r, numbers[t])) {
          add_to_row(key_rows.row(t), slope[t], D, row);
        }
      }
    }
    if (all || queries_clean) {
      product(count, D, rows, Left<T>{slopes, 1, kTileKeys}, Packed<T>::of(queries, rows), sums, D,
              Update<T>{T(1), T(0)});
      scatter_rows(sums, D, beta, numbers, count, to.dk, to.dk_row);
      product(count, Dv, rows, Left<T>{weights, 1, kTileKeys}, Packed<T>::of(douts, rows), sums, Dv,
              Update<T>{T(1), T(0)});
      scatter_rows(sums, Dv, T(1), numbers, count, to.dv, to.dv_row);
      continue;
    }
    // A query that is not finite must not reach keys that it does not see, not even times 0.
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t t = 0; t < count; ++t) {
        if (tile.sees(tile.begin + r, numbers[t])) {
          add_to_row(q_rows + r * p.q.row_stride, beta * slopes[r * kTileKeys + t], D,
                     to.dk + numbers[t] * to.dk_row);
          add_to_row(dout_rows + r * p.dout.row_stride, weights[r * kTileKeys + t], Dv,
                     to.dv + numbers[t] * to.dv_row);
        }
      }
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    T* row = dq + r * p.dq.row_stride;
    dbeta += static_cast<double>(vector_dot(q_rows + r * p.q.row_stride, row, D));
    vector_scale(row, row, D, beta);
  }
}

// Where things lie in the workspace.
template <class T>
struct TilesBackwardPlan {
  HeadParts parts;
  std::int64_t scratch;

  explicit TilesBackwardPlan(const RetrievalBackward& p)
      : parts(p, kTileRows), scratch(TileBackwardLayout<T>(p).elements()) {}
  std::int64_t bytes(int threads) const {
    return parts.chunks() * static_cast<std::int64_t>(sizeof(double)) +
           (parts.elements() + threads * scratch) * static_cast<std::int64_t>(sizeof(T));
  }
};

template <class T>
void tiles_backward(const RetrievalBackward& p, const CpuContext& context) {
  const TilesBackwardPlan<T> plan(p);
  const HeadParts& parts = plan.parts;
  double* dbeta = static_cast<double*>(p.workspace);
  T* memory = reinterpret_cast<T*>(dbeta + parts.chunks());
  T* scratch = memory + parts.elements();
  context.pool->run(parts.chunks(), [&](std::int64_t chunk) {
    const std::int64_t b = parts.head(chunk) / p.H;
    const std::int64_t h = parts.head(chunk) % p.H;
    const CollectedRows<T> to = start_rows(p, parts, chunk, memory);
    dbeta[chunk] = 0;
    const std::int64_t last = parts.end(chunk);
    for (std::int64_t begin = parts.begin(chunk); begin < last; begin += kTileRows) {
      tile_backward(p, VisibleTile{p.visibility, b, h, begin, std::min(begin + kTileRows, last)},
                    to, scratch + ThreadPool::thread_index() * plan.scratch, dbeta[chunk]);
    }
  });
  add_parts_of_heads(p, parts, memory, context);
  sum_over_parts<T>(parts, dbeta, p.dbeta);
  for (std::int64_t h = 0; p.dalpha != nullptr && h < p.H; ++h) {
    static_cast<T*>(p.dalpha)[h] = 0;
  }
}

void tiles_backward_target(const RetrievalBackward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    tiles_backward<double>(p, context);
  } else {
    tiles_backward<float>(p, context);
  }
}

std::int64_t tiles_backward_workspace_target(const RetrievalBackward& p,
                                             const CpuContext& context) {
  const int threads = context.pool->threads();
  return p.dtype == DType::f64 ? TilesBackwardPlan<double>(p).bytes(threads)
                               : TilesBackwardPlan<float>(p).bytes(threads);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(tiles_backward_target);
HWY_EXPORT(tiles_backward_workspace_target);

void retrieval_tiles_backward(const RetrievalBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(tiles_backward_target)(p, context);
}

std::int64_t retrieval_tiles_backward_workspace(const RetrievalBackward& p,
                                                const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(tiles_backward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

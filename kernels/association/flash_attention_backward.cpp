// The scores are computed again from q, k and lse, block of keys by block of keys. For a block J
// and a tile of queries I, with delta_i = dout_i . out_i:
//   P = exp(beta Q_I K_J^T - lse);  dS = P o (dO_I V_J^T - delta)
//   dV_J += P^T dO_I;  dK_J += dS^T Q_I;  dQ_I += dS K_J
// and in the end dq, dk take their factor beta; dbeta = sum_i q_i . dQ_i before that. A head whose
// work is too much for one chunk is cut into parts of its queries, each with a dK and dV of its
// own; the parts are added in order, and how many there are depends on the shape alone.
#include "kernels/association/flash_attention.h"

#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/flash_attention_backward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/product-inl.h"
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

constexpr std::int64_t kBackwardKeys = 128;    // of a block
constexpr std::int64_t kBackwardQueries = 48;  // of a tile: whole groups at every level
constexpr std::int64_t kMostParts = 4;         // of a head
constexpr std::int64_t kQueriesOfPart = 384;   // at least

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Where things lie in the workspace, in elements. The doubles of dbeta come first.
template <class T>
struct BackwardLayout {
  std::int64_t heads, parts, blocks, tiles, tiles_of_part;
  std::int64_t key_block, tile, scratch;

  explicit BackwardLayout(const AttentionBackward& p)
      : heads(p.B * p.H),
        parts(std::clamp<std::int64_t>(
            std::min(ceil_div(16, std::max<std::int64_t>(1, heads)), p.L / kQueriesOfPart), 1,
            kMostParts)),
        blocks(ceil_div(p.M, kBackwardKeys)),
        tiles(ceil_div(p.L, kBackwardQueries)),
        tiles_of_part(ceil_div(tiles, parts)),
        // K^T, V^T, and K as it is; Q and dout as they are.
        key_block(packed_size<T>(p.D, kBackwardKeys) + packed_size<T>(p.Dv, kBackwardKeys) +
                  packed_size<T>(kBackwardKeys, p.D)),
        tile(packed_size<T>(kBackwardQueries, p.D) + packed_size<T>(kBackwardQueries, p.Dv)),
        scratch(2 * kBackwardQueries * kBackwardKeys) {}

  std::int64_t packed() const { return heads * (blocks * key_block + tiles * tile); }
  std::int64_t deltas(const AttentionBackward& p) const { return heads * p.L; }
  /// dK and dV of one part of one head.
  std::int64_t partial(const AttentionBackward& p) const { return p.M * (p.D + p.Dv); }
  std::int64_t bytes(const AttentionBackward& p, int threads) const {
    return heads * parts * static_cast<std::int64_t>(sizeof(double)) +
           (packed() + deltas(p) + heads * parts * partial(p) + threads * scratch) *
               static_cast<std::int64_t>(sizeof(T));
  }
};

template <class T>
struct Head {
  const AttentionBackward& p;
  std::int64_t b, h, seen_by_all;
  T beta;
  const T *q, *k, *v, *out, *dout, *lse;
  T* dq;

  Head(const AttentionBackward& in, std::int64_t head)
      : p(in),
        b(head / in.H),
        h(head % in.H),
        seen_by_all(visible_keys(in.key_lengths, b, in.causal, in.L - 1, in.L, in.M)),
        beta(static_cast<const T*>(in.beta)[h]),
        q(in.q.head<T>(b, h)),
        k(in.k.head<T>(b, h)),
        v(in.v.head<T>(b, h)),
        out(in.out.head<T>(b, h)),
        dout(in.dout.head<T>(b, h)),
        lse(static_cast<const T*>(in.lse) + head * in.L),
        dq(in.dq.head<T>(b, h)) {}

  std::int64_t visible(std::int64_t i) const {
    return visible_keys(p.key_lengths, b, p.causal, i, p.L, p.M);
  }
  /// The first query that sees key j < seen_by_all.
  std::int64_t first_query(std::int64_t j) const {
    return p.causal ? std::max<std::int64_t>(0, j - (p.M - p.L)) : 0;
  }
};

template <class T>
void pack_keys(const Head<T>& head, std::int64_t block, T* to) {
  const AttentionBackward& p = head.p;
  const std::int64_t begin = block * kBackwardKeys;
  const std::int64_t count = std::min(kBackwardKeys, head.seen_by_all - begin);
  if (count <= 0) {
    return;
  }
  const T* k = head.k + begin * p.k.row_stride;
  pack_transposed(k, p.k.row_stride, p.D, count, to);
  to += packed_size<T>(p.D, kBackwardKeys);
  pack_transposed(head.v + begin * p.v.row_stride, p.v.row_stride, p.Dv, count, to);
  to += packed_size<T>(p.Dv, kBackwardKeys);
  pack(k, p.k.row_stride, count, p.D, to);
}

template <class T>
void pack_queries(const Head<T>& head, std::int64_t tile, T* to, T* delta) {
  const AttentionBackward& p = head.p;
  const std::int64_t begin = tile * kBackwardQueries;
  const std::int64_t count = std::min(kBackwardQueries, p.L - begin);
  const T* dout = head.dout + begin * p.dout.row_stride;
  pack(head.q + begin * p.q.row_stride, p.q.row_stride, count, p.D, to);
  pack(dout, p.dout.row_stride, count, p.Dv, to + packed_size<T>(kBackwardQueries, p.D));
  for (std::int64_t r = 0; r < count; ++r) {
    delta[begin + r] =
        vector_dot(dout + r * p.dout.row_stride, head.out + (begin + r) * p.out.row_stride, p.Dv);
  }
}

// weights = exp(weights - lse), slopes = weights o (slopes - delta), for `count` keys of one query.
HWY_INLINE void weights_and_slopes(float* weights, float* slopes, std::int64_t count, float lse,
                                   float delta) {
  const hn::ScalableTag<float> d;
  const auto shift = hn::Set(d, lse);
  const auto inner = hn::Set(d, delta);
  const std::int64_t end = whole(d, count);
  for (std::int64_t j = 0; j < end; j += static_cast<std::int64_t>(hn::Lanes(d))) {
    const auto weight = exp_vector(d, hn::Sub(hn::LoadU(d, weights + j), shift));
    hn::StoreU(weight, d, weights + j);
    hn::StoreU(hn::Mul(weight, hn::Sub(hn::LoadU(d, slopes + j), inner)), d, slopes + j);
  }
  if (end < count) {
    const auto mask = rest(d, count, end);
    const auto weight = exp_vector(d, hn::Sub(hn::MaskedLoad(mask, d, weights + end), shift));
    hn::BlendedStore(weight, mask, d, weights + end);
    hn::BlendedStore(hn::Mul(weight, hn::Sub(hn::MaskedLoad(mask, d, slopes + end), inner)), mask,
                     d, slopes + end);
  }
}
HWY_INLINE void weights_and_slopes(double* weights, double* slopes, std::int64_t count, double lse,
                                   double delta) {
  for (std::int64_t j = 0; j < count; ++j) {
    weights[j] = exp_of(weights[j] - lse);
    slopes[j] = weights[j] * (slopes[j] - delta);
  }
}

// The keys [block, block + keys) against the queries [begin, begin + rows).
template <class T>
struct Meeting {
  const Head<T>& head;
  std::int64_t block, keys, begin, rows;

  /// How many of the keys query r of the tile sees.
  std::int64_t within(std::int64_t r) const {
    return std::clamp<std::int64_t>(head.visible(begin + r) - block, 0, keys);
  }
  /// The first query of the tile that sees key j of the block.
  std::int64_t first(std::int64_t j) const {
    return std::clamp<std::int64_t>(head.first_query(block + j) - begin, 0, rows);
  }
};

// to (rows of the tile x columns) += slopes times keys; a hidden pair is never multiplied.
template <class T>
void add_over_keys(const Meeting<T>& m, const T* slopes, const Packed<T>& keys,
                   std::int64_t columns, T* to, std::int64_t to_row) {
  const Update<T> update{T(1), T(1)};
  for (std::int64_t r = 0; r < m.rows; r += kBlockRows) {
    const std::int64_t group = std::min<std::int64_t>(kBlockRows, m.rows - r);
    const std::int64_t common = m.within(r);
    product(group, columns, common, Left<T>{slopes + r * kBackwardKeys, kBackwardKeys, 1}, keys,
            to + r * to_row, to_row, update);
    for (std::int64_t g = 1; g < group; ++g) {
      const std::int64_t count = m.within(r + g);
      if (count > common) {
        product(1, columns, count - common,
                Left<T>{slopes + (r + g) * kBackwardKeys + common, kBackwardKeys, 1},
                keys.from_row(common), to + (r + g) * to_row, to_row, update);
      }
    }
  }
}

// to (keys of the block x columns) += weights^T times rows of the tile; likewise.
template <class T>
void add_over_queries(const Meeting<T>& m, const T* weights, const Packed<T>& queries,
                      std::int64_t columns, T* to, std::int64_t to_row) {
  const Update<T> update{T(1), T(1)};
  for (std::int64_t j = 0; j < m.keys; j += kBlockRows) {
    const std::int64_t group = std::min<std::int64_t>(kBlockRows, m.keys - j);
    // Later keys are seen by fewer queries: the last key of the group has the fewest.
    const std::int64_t common = m.first(j + group - 1);
    for (std::int64_t g = 0; g + 1 < group; ++g) {
      const std::int64_t first = m.first(j + g);
      if (first < common) {
        product(1, columns, common - first,
                Left<T>{weights + first * kBackwardKeys + j + g, 1, kBackwardKeys},
                queries.from_row(first), to + (j + g) * to_row, to_row, update);
      }
    }
    if (common < m.rows) {
      product(group, columns, m.rows - common,
              Left<T>{weights + common * kBackwardKeys + j, 1, kBackwardKeys},
              queries.from_row(common), to + j * to_row, to_row, update);
    }
  }
}

template <class T>
struct PackedHead {
  const T* keys;
  const T* tiles;
  const T* delta;
};

// The queries of one part of one head. dk (M, D) and dv (M, Dv) start at 0 here, without beta.
template <class T>
void backward_part(const Head<T>& head, const BackwardLayout<T>& layout, std::int64_t part,
                   const PackedHead<T>& packed, T* dk, T* dv, double& dbeta, T* scratch) {
  const AttentionBackward& p = head.p;
  T* weights = scratch;
  T* slopes = weights + kBackwardQueries * kBackwardKeys;
  std::fill(dk, dk + p.M * p.D, T(0));
  std::fill(dv, dv + p.M * p.Dv, T(0));
  const std::int64_t first_tile = part * layout.tiles_of_part;
  const std::int64_t end_tile = std::min(layout.tiles, first_tile + layout.tiles_of_part);
  for (std::int64_t i = first_tile * kBackwardQueries;
       i < std::min(p.L, end_tile * kBackwardQueries); ++i) {
    std::fill(head.dq + i * p.dq.row_stride, head.dq + i * p.dq.row_stride + p.D, T(0));
  }
  for (std::int64_t block = 0; block < head.seen_by_all; block += kBackwardKeys) {
    const std::int64_t count = std::min(kBackwardKeys, head.seen_by_all - block);
    const T* data = packed.keys + block / kBackwardKeys * layout.key_block;
    const Packed<T> keys_transposed = Packed<T>::of(data, p.D);
    data += packed_size<T>(p.D, kBackwardKeys);
    const Packed<T> values_transposed = Packed<T>::of(data, p.Dv);
    data += packed_size<T>(p.Dv, kBackwardKeys);
    const Packed<T> keys = Packed<T>::of(data, count);
    for (std::int64_t tile = std::max(first_tile, head.first_query(block) / kBackwardQueries);
         tile < end_tile; ++tile) {
      const std::int64_t begin = tile * kBackwardQueries;
      const std::int64_t rows = std::min(kBackwardQueries, p.L - begin);
      const Meeting<T> meeting{head, block, count, begin, rows};
      const Left<T> q{head.q + begin * p.q.row_stride, p.q.row_stride, 1};
      const Left<T> dout{head.dout + begin * p.dout.row_stride, p.dout.row_stride, 1};
      for (std::int64_t r = 0; r < rows; r += kBlockRows) {
        const std::int64_t group = std::min<std::int64_t>(kBlockRows, rows - r);
        const std::int64_t most = meeting.within(r + group - 1);
        if (most == 0) {
          continue;
        }
        T* weight = weights + r * kBackwardKeys;
        T* slope = slopes + r * kBackwardKeys;
        product(group, most, p.D, q.at(r, 0), keys_transposed, weight, kBackwardKeys,
                Update<T>{head.beta, T(0)});
        product(group, most, p.Dv, dout.at(r, 0), values_transposed, slope, kBackwardKeys,
                Update<T>{T(1), T(0)});
        for (std::int64_t g = 0; g < group; ++g) {
          weights_and_slopes(weight + g * kBackwardKeys, slope + g * kBackwardKeys,
                             meeting.within(r + g), head.lse[begin + r + g],
                             packed.delta[begin + r + g]);
        }
      }
      const T* tile_data = packed.tiles + tile * layout.tile;
      const Packed<T> queries = Packed<T>::of(tile_data, rows);
      const Packed<T> douts =
          Packed<T>::of(tile_data + packed_size<T>(kBackwardQueries, p.D), rows);
      add_over_queries(meeting, weights, douts, p.Dv, dv + block * p.Dv, p.Dv);
      add_over_queries(meeting, slopes, queries, p.D, dk + block * p.D, p.D);
      add_over_keys(meeting, slopes, keys, p.D, head.dq + begin * p.dq.row_stride, p.dq.row_stride);
    }
  }
  dbeta = 0;
  for (std::int64_t i = first_tile * kBackwardQueries;
       i < std::min(p.L, end_tile * kBackwardQueries); ++i) {
    T* row = head.dq + i * p.dq.row_stride;
    dbeta += static_cast<double>(vector_dot(head.q + i * p.q.row_stride, row, p.D));
    vector_scale(row, row, p.D, head.beta);
  }
}

// to = scale times the sum of the parts, which are `distance` apart, for one row.
template <class T>
HWY_INLINE void add_parts(const T* from, std::int64_t distance, std::int64_t parts,
                          std::int64_t count, T scale, T* to) {
  for (std::int64_t d = 0; d < count; ++d) {
    T sum = from[d];
    for (std::int64_t part = 1; part < parts; ++part) {
      sum += from[part * distance + d];
    }
    to[d] = scale * sum;
  }
}

template <class T>
void backward(const AttentionBackward& p, const CpuContext& context) {
  const BackwardLayout<T> layout(p);
  double* dbeta = static_cast<double*>(p.workspace);
  T* keys = reinterpret_cast<T*>(dbeta + layout.heads * layout.parts);
  T* tiles = keys + layout.heads * layout.blocks * layout.key_block;
  T* deltas = tiles + layout.heads * layout.tiles * layout.tile;
  T* partials = deltas + layout.deltas(p);
  T* scratch = partials + layout.heads * layout.parts * layout.partial(p);

  const std::int64_t pieces = layout.blocks + layout.tiles;
  context.pool->run(layout.heads * pieces, [&](std::int64_t chunk) {
    const std::int64_t at = chunk / pieces;
    const std::int64_t piece = chunk % pieces;
    const Head<T> head(p, at);
    if (piece < layout.blocks) {
      pack_keys(head, piece, keys + (at * layout.blocks + piece) * layout.key_block);
    } else {
      const std::int64_t tile = piece - layout.blocks;
      pack_queries(head, tile, tiles + (at * layout.tiles + tile) * layout.tile, deltas + at * p.L);
    }
  });
  context.pool->run(layout.heads * layout.parts, [&](std::int64_t chunk) {
    const std::int64_t at = chunk / layout.parts;
    const Head<T> head(p, at);
    const PackedHead<T> packed{keys + at * layout.blocks * layout.key_block,
                               tiles + at * layout.tiles * layout.tile, deltas + at * p.L};
    T* partial = partials + chunk * layout.partial(p);
    backward_part(head, layout, chunk % layout.parts, packed, partial, partial + p.M * p.D,
                  dbeta[chunk], scratch + ThreadPool::thread_index() * layout.scratch);
  });
  for_ranges(context, layout.heads * p.M, 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t at = row / p.M;
      const std::int64_t j = row % p.M;
      const Head<T> head(p, at);
      const T* partial = partials + at * layout.parts * layout.partial(p);
      add_parts(partial + j * p.D, layout.partial(p), layout.parts, p.D, head.beta,
                p.dk.head<T>(head.b, head.h) + j * p.dk.row_stride);
      add_parts(partial + p.M * p.D + j * p.Dv, layout.partial(p), layout.parts, p.Dv, T(1),
                p.dv.head<T>(head.b, head.h) + j * p.dv.row_stride);
    }
  });
  if (p.dbeta != nullptr) {
    for (std::int64_t h = 0; h < p.H; ++h) {
      double total = 0;
      for (std::int64_t b = 0; b < p.B; ++b) {
        for (std::int64_t part = 0; part < layout.parts; ++part) {
          total += dbeta[(b * p.H + h) * layout.parts + part];
        }
      }
      static_cast<T*>(p.dbeta)[h] = static_cast<T>(total);
    }
  }
}

void flash_backward_target(const AttentionBackward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    backward<double>(p, context);
  } else {
    backward<float>(p, context);
  }
}

std::int64_t flash_backward_workspace_target(const AttentionBackward& p,
                                             const CpuContext& context) {
  const int threads = context.pool->threads();
  return p.dtype == DType::f64 ? BackwardLayout<double>(p).bytes(p, threads)
                               : BackwardLayout<float>(p).bytes(p, threads);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(flash_backward_target);
HWY_EXPORT(flash_backward_workspace_target);

void flash_attention_backward(const AttentionBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(flash_backward_target)(p, context);
}

std::int64_t flash_attention_backward_workspace(const AttentionBackward& p,
                                                const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(flash_backward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

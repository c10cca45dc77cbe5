// Softmax attention on a GPU: a block for a tile of queries of one head. It passes over the keys in
// tiles and keeps, for each query, the largest score so far, the sum of the weights below it and
// their sum of values, all scaled anew when a larger score comes (M. Milakov, N. Gimelshein 2018;
// T. Dao et al. 2022). Scores and weights of a tile exist in registers and shared memory only.
// While a tile of scores is computed its values arrive in the background, and the next keys behind
// the product with the values.
//
// Where queries are few, the keys of a head are cut into parts with a block for each (as in
// T. Dao et al. 2023, "Flash-Decoding"), and what they leave of a query is put together in the
// order of the parts. How many there are depends on the shape alone.
#pragma once

#include <cmath>

#include "kernels/association/key_split.h"
#include "kernels/association/prefix_walk.cuh"
#include "kernels/association/softmax_attention.h"
#include "kernels/association/tiles.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/math.h"

namespace basin::kernels {

namespace {

// Rows and columns of scores for a thread: what registers and shared memory (163 KiB on 8.0) hold
// at this width; with `kFew` one row, for at most 8 queries.
template <class T, int kWidth, bool kFew>
struct ForwardTile {
  static constexpr int kMostR = sizeof(T) == 8 ? (kWidth > 64 ? 2 : 4) : (kWidth > 128 ? 4 : 8);
  static constexpr int kR = kFew ? 1 : kMostR;
  static constexpr int kC = sizeof(T) == 8 ? (kWidth > 64 ? 1 : 2) : (kWidth > 64 ? 2 : 4);
  static constexpr int kQueries = kR * kDown;
  static constexpr int kKeys = kC * kAcross;
  static constexpr int kRow = kRowOf<T, kWidth>;
  // q, k, v, weights
  static constexpr std::size_t kBytes =
      sizeof(T) * (kQueries * kRow + 2 * kKeys * kRow + kQueries * kRowOf<T, kKeys>);
};

/// Sums of values, the largest score and the sum of the weights below it, from one part of the keys
/// to the next. A multiple of 4.
BASIN_HOST_DEVICE inline std::int64_t partial_stride(const AttentionForward& p) {
  return (p.Dv + 2 + 3) / 4 * 4;
}

/// Where a part leaves query `at` of all.
template <class T>
BASIN_DEVICE T* partial_of(const AttentionForward& p, const KeySplit& split, std::int64_t at,
                           std::int64_t part) {
  return static_cast<T*>(split.partial) + (at * split.parts + part) * partial_stride(p);
}

/// A block for a part of the keys and a tile of queries. `tiles`: of queries, in each head. `wide`:
/// q, k and v can be copied 16 bytes at a time.
template <class T, int kWidth, bool kFew, class Rule>
BASIN_KERNEL void attention_forward_kernel(AttentionForward p, Rule rule, KeySplit split,
                                           std::int64_t tiles, bool wide) {
  using Tile = ForwardTile<T, kWidth, kFew>;
  using Walk = typename Rule::template Walk<Side::queries, Tile::kQueries, Tile::kKeys>;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  T* const q_tile = dynamic_shared<T>();
  T* const k_tile = q_tile + Tile::kQueries * Tile::kRow;
  T* const v_tile = k_tile + Tile::kKeys * Tile::kRow;
  T* const weights = v_tile + Tile::kKeys * Tile::kRow;

  const std::int64_t part = blockIdx.x % split.parts;
  const std::int64_t block = blockIdx.x / split.parts;
  const std::int64_t head = block / tiles;
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  // The last tile first: of a causal head it takes the longest.
  const std::int64_t query = (tiles - 1 - block % tiles) * Tile::kQueries;
  Walk walk(rule, p, b, h, query, weights + Tile::kQueries * kRowOf<T, Tile::kKeys>);
  if (split.parts > 1) {
    walk.limit_columns(part * split.keys, (part + 1) * split.keys);
  }

  const T* const q = p.q.head<T>(b, h);
  const T* const k = p.k.head<T>(b, h);
  const T* const v = p.v.head<T>(b, h);
  const T beta = static_cast<const T*>(p.beta)[h];
  T largest[kR];
  T total[kR] = {};
  T out[kR][kWidth / kAcross] = {};
  BASIN_UNROLL
  for (int r = 0; r < kR; ++r) {
    largest[r] = Maximum::identity<T>();
  }

  bool more = walk.advance();
  if (more) {
    walk.template load_rows<kWidth>(q_tile, q, p.q.row_stride, p.D, wide);
    walk.template load_columns<kWidth>(k_tile, k, p.k.row_stride, p.D, wide);
    copy_async_commit();
  }
  while (more) {
    copy_async_wait<0>();
    __syncthreads();  // keys are there; values and weights of the tile before have been used
    walk.template load_columns<kWidth>(v_tile, v, p.v.row_stride, p.Dv, wide);
    copy_async_commit();
    T scores[kR][kC] = {};
    inner_products<kWidth>(q_tile, k_tile, scores);

    auto sight = walk.sight();
    if constexpr (Rule::kGathers) {
      if (rule.has_thresholds()) {
        rule.template drop_below<Side::queries>(walk, head * p.L, beta, scores, sight);
      }
    }
    const bool partial = sight.partial;
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      T most = largest[r];
      bool counted[kC];
      BASIN_UNROLL
      for (int c = 0; c < kC; ++c) {
        counted[c] = !partial || sight.takes_part(r, c);
        scores[r][c] *= beta;
        most = counted[c] ? Maximum::of(most, scores[r][c]) : most;
      }
      most = over_row<Maximum>(most);
      const T shift = most == Maximum::identity<T>() ? T(0) : most;  // where nothing was seen yet
      const T scale = exp_of(largest[r] - shift);
      largest[r] = most;
      total[r] *= scale;
      BASIN_UNROLL
      for (int c = 0; c < kC; ++c) {
        const T weight = exp_of(scores[r][c] - shift);
        total[r] += counted[c] ? weight : T(0);
        const bool read = !partial || sight.is_read(counted[c], r, c);
        weights[(tile_y() + r * kDown) * kRowOf<T, Tile::kKeys> + tile_x() + c * kAcross] =
            read ? weight : T(-1);
      }
      BASIN_UNROLL
      for (T& number : out[r]) {
        number *= scale;
      }
    }
    copy_async_wait<0>();
    __syncthreads();  // values and weights are there; these keys have been used
    more = walk.advance();
    if (more) {
      walk.template load_columns<kWidth>(k_tile, k, p.k.row_stride, p.D, wide);
      copy_async_commit();
    }
    if (partial) {
      add_product<NegativeHidden, Tile::kKeys, kWidth>(weights, v_tile, out);
    } else {
      add_product<NoneHidden, Tile::kKeys, kWidth>(weights, v_tile, out);
    }
  }

  constexpr int run = kRun<kWidth>;
  BASIN_UNROLL
  for (int r = 0; r < kR; ++r) {
    const std::int64_t i = query + tile_y() + r * kDown;
    const T sum = over_row<Sum>(total[r]);
    if (i >= p.L) {
      continue;
    }
    const bool whole = split.parts == 1;
    const bool blind = largest[r] == Maximum::identity<T>();
    const T scale = blind ? T(0) : walk.template scale<T>() / (whole ? sum : T(1));
    T* const to = whole ? p.out.head<T>(b, h) + i * p.out.row_stride
                        : partial_of<T>(p, split, head * p.L + i, part);
    BASIN_UNROLL
    for (int first = 0; first < kWidth / kAcross; first += run) {
      const int column = column_of<kWidth>(first);
      T numbers[run];
      BASIN_UNROLL
      for (int c = 0; c < run; ++c) {
        numbers[c] = out[r][first + c] * scale;
      }
      store_run(to + column, p.Dv - column, numbers);
    }
    if (tile_x() == 0 && whole) {
      rule.keep(p, head * p.L + i, largest[r], sum);
    } else if (tile_x() == 0) {
      to[p.Dv] = largest[r];
      to[p.Dv + 1] = sum;
    }
  }
}

/// Puts the parts of a query together: a warp for a query of any head. `Out` is what out is stored
/// in.
template <class T, class Out, class Rule>
BASIN_KERNEL void attention_combine_kernel(AttentionForward p, Rule rule, KeySplit split) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (at >= p.B * p.H * p.L) {
    return;  // the whole warp
  }
  const std::int64_t Dv = p.Dv;
  const auto from = [&](std::int64_t part) { return partial_of<T>(p, split, at, part); };
  T largest = Maximum::identity<T>();
  for (std::int64_t part = threadIdx.x; part < split.parts; part += kWarpSize) {
    largest = Maximum::of(largest, from(part)[Dv]);
  }
  largest = warp_reduce<Maximum>(largest);
  const bool blind = largest == Maximum::identity<T>();
  // A part in which the query sees nothing has weight 0 and nothing but zeros.
  const auto weight_of = [&](std::int64_t part) {
    return exp_of(from(part)[Dv] - (blind ? T(0) : largest));
  };
  T total = 0;
  for (std::int64_t part = threadIdx.x; part < split.parts; part += kWarpSize) {
    total += weight_of(part) * from(part)[Dv + 1];
  }
  total = warp_reduce<Sum>(total);
  const std::int64_t head = at / p.L;
  Out* const to = p.out.head<Out>(head / p.H, head % p.H) + at % p.L * p.out.row_stride;
  for (std::int64_t c = threadIdx.x; c < Dv; c += kWarpSize) {
    T sum = 0;
    for (std::int64_t part = 0; part < split.parts; ++part) {
      sum += weight_of(part) * from(part)[c];
    }
    to[c] = stored_as<Out>(blind ? T(0) : sum / total);
  }
  if (threadIdx.x == 0) {
    rule.keep(p, at, largest, total);
  }
}

}  // namespace

}  // namespace basin::kernels

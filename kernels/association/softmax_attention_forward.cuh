// Softmax attention on a GPU: a block for a tile of queries of one head. It passes over the keys in
// tiles and keeps, for each query, the largest score so far, the sum of the weights below it and
// their sum of values, all scaled anew when a larger score comes (M. Milakov, N. Gimelshein 2018;
// T. Dao et al. 2022). Scores and weights of a tile exist in registers and shared memory only.
// While a tile of scores is computed its values arrive in the background, and the next keys behind
// the product with the values.
#pragma once

#include <cmath>

#include "kernels/association/prefix_visibility.cuh"
#include "kernels/association/softmax_attention.h"
#include "kernels/association/tiles.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/math.h"

namespace basin::kernels {

namespace {

// Rows and columns of scores for a thread: what registers and shared memory (163 KiB on 8.0) hold
// at this width.
template <class T, int kWidth>
struct ForwardTile {
  static constexpr int kR = sizeof(T) == 8 ? (kWidth > 64 ? 2 : 4) : (kWidth > 128 ? 4 : 8);
  static constexpr int kC = sizeof(T) == 8 ? (kWidth > 64 ? 1 : 2) : (kWidth > 64 ? 2 : 4);
  static constexpr int kQueries = kR * kDown;
  static constexpr int kKeys = kC * kAcross;
  static constexpr int kRow = kRowOf<T, kWidth>;
  // q, k, v, weights
  static constexpr std::size_t kBytes =
      sizeof(T) * (kQueries * kRow + 2 * kKeys * kRow + kQueries * kRowOf<T, kKeys>);
};

/// `tiles`: of queries, in each head. `wide`: q, k and v can be copied 16 bytes at a time.
template <class T, int kWidth, class Visibility>
BASIN_KERNEL void attention_forward_kernel(AttentionForward p, std::int64_t tiles, bool wide) {
  using Tile = ForwardTile<T, kWidth>;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  T* const q_tile = dynamic_shared<T>();
  T* const k_tile = q_tile + Tile::kQueries * Tile::kRow;
  T* const v_tile = k_tile + Tile::kKeys * Tile::kRow;
  T* const weights = v_tile + Tile::kKeys * Tile::kRow;

  const std::int64_t head = blockIdx.x / tiles;
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  // The last tile first: of a causal head it takes the longest.
  const std::int64_t query = (tiles - 1 - blockIdx.x % tiles) * Tile::kQueries;
  const std::int64_t query_end = query + Tile::kQueries < p.L ? query + Tile::kQueries : p.L;
  const Visibility visibility(p, b, h);
  const std::int64_t key_end = visibility.key_end(query_end);
  const auto kind_of = [&](std::int64_t key) {
    const std::int64_t end = key + Tile::kKeys < p.M ? key + Tile::kKeys : p.M;
    const TileKind kind = visibility.classify(query, query_end, key, end);
    const bool cut = end - key < Tile::kKeys;
    return kind == TileKind::full && cut ? TileKind::partial : kind;
  };
  const auto next_from = [&](std::int64_t key) {
    while (key < key_end && kind_of(key) == TileKind::skip) {
      key += Tile::kKeys;
    }
    return key;
  };

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

  std::int64_t key = next_from(0);
  if (key < key_end) {
    load_tile<Tile::kQueries, kWidth>(q_tile, static_cast<const T*>(p.q.head<T>(b, h)),
                                      p.q.row_stride, query, query_end, static_cast<int>(p.D),
                                      wide);
    load_tile<Tile::kKeys, kWidth>(k_tile, k, p.k.row_stride, key, key_end, static_cast<int>(p.D),
                                   wide);
    copy_async_commit();
  }
  while (key < key_end) {
    copy_async_wait<0>();
    __syncthreads();  // keys are there; values and weights of the tile before have been used
    load_tile<Tile::kKeys, kWidth>(v_tile, v, p.v.row_stride, key, key_end, static_cast<int>(p.Dv),
                                   wide);
    copy_async_commit();
    T scores[kR][kC] = {};
    inner_products<kWidth>(q_tile, k_tile, scores);

    const bool partial = kind_of(key) == TileKind::partial;
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      const std::int64_t i = query + tile_y() + r * kDown;
      T most = largest[r];
      bool hidden[kC];
      BASIN_UNROLL
      for (int c = 0; c < kC; ++c) {
        const std::int64_t j = key + tile_x() + c * kAcross;
        hidden[c] = partial && !(j < key_end && visibility.keep(i, j));
        scores[r][c] *= beta;
        most = hidden[c] ? most : Maximum::of(most, scores[r][c]);
      }
      most = over_row<Maximum>(most);
      const T shift = most == Maximum::identity<T>() ? T(0) : most;  // where nothing was seen yet
      const T scale = exp_of(largest[r] - shift);
      largest[r] = most;
      total[r] *= scale;
      BASIN_UNROLL
      for (int c = 0; c < kC; ++c) {
        const T weight = exp_of(scores[r][c] - shift);
        total[r] += hidden[c] ? T(0) : weight;
        weights[(tile_y() + r * kDown) * kRowOf<T, Tile::kKeys> + tile_x() + c * kAcross] =
            hidden[c] ? T(-1) : weight;
      }
      BASIN_UNROLL
      for (T& number : out[r]) {
        number *= scale;
      }
    }
    const std::int64_t next = next_from(key + Tile::kKeys);
    copy_async_wait<0>();
    __syncthreads();  // values and weights are there; these keys have been used
    if (next < key_end) {
      load_tile<Tile::kKeys, kWidth>(k_tile, k, p.k.row_stride, next, key_end,
                                     static_cast<int>(p.D), wide);
      copy_async_commit();
    }
    if (partial) {
      add_product<NegativeHidden, Tile::kKeys, kWidth>(weights, v_tile, out);
    } else {
      add_product<NoneHidden, Tile::kKeys, kWidth>(weights, v_tile, out);
    }
    key = next;
  }

  T* const to = p.out.head<T>(b, h);
  BASIN_UNROLL
  for (int r = 0; r < kR; ++r) {
    const std::int64_t i = query + tile_y() + r * kDown;
    const T sum = over_row<Sum>(total[r]);
    if (i >= p.L) {
      continue;
    }
    const bool blind = largest[r] == Maximum::identity<T>();
    const T scale = blind ? T(0) : T(1) / sum;
    BASIN_UNROLL
    for (int at = 0; at < kWidth / kAcross; ++at) {
      const int column = column_of<kWidth>(at);
      if (column < p.Dv) {
        to[i * p.out.row_stride + column] = out[r][at] * scale;
      }
    }
    if (tile_x() == 0) {
      static_cast<T*>(p.lse)[head * p.L + i] =
          blind ? Maximum::identity<T>() : largest[r] + std::log(sum);
    }
  }
}

}  // namespace

}  // namespace basin::kernels

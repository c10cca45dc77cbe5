// Softmax attention on tensor cores (sm_80 and later): a block of four warps for 64 queries
// of one head, each warp for 16 of them. As in softmax_attention_forward.cuh it passes over tiles
// of keys with a running maximum (M. Milakov, N. Gimelshein 2018; T. Dao et al. 2022), but scores
// and weights never leave the registers: the accumulators of Q K^T lie in a warp as the left
// operand of the product with V has to (fragments.h), so they need rounding only. Keys and values
// have two places each: the next tile arrives in the background while this one is used.
#pragma once

#include <cmath>

#include "kernels/association/prefix_visibility.cuh"
#include "kernels/association/softmax_attention.h"
#include "kernels/association/tensor_tiles.cuh"
#include "kernels/common/block_reduce.cuh"

namespace basin::kernels {

namespace {

/// `kPipelined`: keys and values have two places each. Without it a tile is fetched, then used, and
/// then the next one is fetched: a rung of the ladder, to see what the second places bring.
template <class Arithmetic, int kWidth, bool kPipelined>
struct TensorForwardTile {
  using Number = typename Arithmetic::Number;
  static constexpr int kQueries = kTensorRows;
  static constexpr int kKeys = Arithmetic::template kKeys<kWidth>;
  static constexpr int kRow = kRowOf<Number, kWidth>;
  static constexpr int kPlaces = kPipelined ? 2 : 1;  // of keys, and as many of values
  static constexpr std::size_t kBytes = sizeof(Number) * (kQueries + 2 * kPlaces * kKeys) * kRow;
};

/// `tiles`: of queries, in each head. `wide`: q, k and v can be copied 16 bytes at a time; `stores
/// wide`: so can rows of out.
template <class Arithmetic, int kWidth, bool kPipelined, class Visibility>
BASIN_KERNEL void tensor_attention_forward_kernel(AttentionForward p, std::int64_t tiles, bool wide,
                                                  bool stores_wide) {
  using Number = typename Arithmetic::Number;
  using Tile = TensorForwardTile<Arithmetic, kWidth, kPipelined>;
  constexpr int kKeys = Tile::kKeys;
  constexpr int kRow = Tile::kRow;
  Number* const q_tile = dynamic_shared<Number>();
  Number* const k_tiles = q_tile + Tile::kQueries * kRow;
  Number* const v_tiles = k_tiles + Tile::kPlaces * kKeys * kRow;

  const std::int64_t head = blockIdx.x / tiles;
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  // The last tile first: of a causal head it takes the longest.
  const std::int64_t query = (tiles - 1 - blockIdx.x % tiles) * Tile::kQueries;
  const std::int64_t query_end = query + Tile::kQueries < p.L ? query + Tile::kQueries : p.L;
  const Visibility visibility(p, b, h);
  const std::int64_t key_end = visibility.key_end(query_end);
  const auto kind_of = [&](std::int64_t key) {
    const std::int64_t end = key + kKeys < p.M ? key + kKeys : p.M;
    const TileKind kind = visibility.classify(query, query_end, key, end);
    return kind == TileKind::full && end - key < kKeys ? TileKind::partial : kind;
  };
  const auto next_from = [&](std::int64_t key) {
    while (key < key_end && kind_of(key) == TileKind::skip) {
      key += kKeys;
    }
    return key;
  };

  const Number* const k = p.k.head<Number>(b, h);
  const Number* const v = p.v.head<Number>(b, h);
  const int warp_row = row_of_warp();
  const int lane = lane_of_warp();
  const std::int64_t rows[2] = {query + warp_row + lane / 4, query + warp_row + lane / 4 + 8};
  const int column = column_of_lane();
  const float beta = static_cast<const float*>(p.beta)[h] * kLog2OfE;  // weights as powers of 2

  float largest[2] = {Maximum::identity<float>(), Maximum::identity<float>()};
  float total[2] = {};
  float out[kWidth / 8][4] = {};

  const auto load_keys = [&](std::int64_t key, int place) {
    if (key < key_end) {
      load_tile<kKeys, kWidth>(k_tiles + place * kKeys * kRow, k, p.k.row_stride, key, key_end,
                               static_cast<int>(p.D), wide);
    }
    copy_async_commit();  // an empty group, too, so that the waits below can count
  };
  const auto load_values = [&](std::int64_t key, int place) {
    if (key < key_end) {
      load_tile<kKeys, kWidth>(v_tiles + place * kKeys * kRow, v, p.v.row_stride, key, key_end,
                               static_cast<int>(p.Dv), wide);
    }
    copy_async_commit();
  };

  std::int64_t key = next_from(0);
  if (key < key_end) {
    load_tile<Tile::kQueries, kWidth>(q_tile, static_cast<const Number*>(p.q.head<Number>(b, h)),
                                      p.q.row_stride, query, query_end, static_cast<int>(p.D),
                                      wide);
    if constexpr (kPipelined) {
      load_keys(key, 0);
      load_values(key, 0);
    }
  }
  for (int place = 0; key < key_end; place = (place + 1) % Tile::kPlaces) {
    const std::int64_t next = next_from(key + kKeys);
    if constexpr (kPipelined) {
      copy_async_wait<1>();
      __syncthreads();  // these keys are there, the values of the tile before have been used
      load_keys(next, 1 - place);
    } else {
      __syncthreads();  // the tile before has been used
      load_keys(key, place);
      load_values(key, place);
      copy_async_wait<0>();
      __syncthreads();
    }
    float scores[kKeys / 8][4] = {};
    Arithmetic::template inner_products<kKeys, kWidth>(q_tile + warp_row * kRow,
                                                       k_tiles + place * kKeys * kRow, scores);

    const bool partial = kind_of(key) == TileKind::partial;
    const auto sees = [&](int r, int j) {
      return key + j < key_end && visibility.keep(rows[r], key + j);
    };
    BASIN_UNROLL
    for (int r = 0; r < 2; ++r) {
      float most = largest[r];
      BASIN_UNROLL
      for (int n = 0; n < kKeys / 8; ++n) {
        BASIN_UNROLL
        for (int c = 0; c < 2; ++c) {
          float& score = scores[n][2 * r + c];
          score =
              partial && !sees(r, n * 8 + column + c) ? Maximum::identity<float>() : score * beta;
          most = Maximum::of(most, score);
        }
      }
      most = over_four<Maximum>(most);
      const float shift = most == Maximum::identity<float>() ? 0.0f : most;  // nothing seen yet
      const float scale = Arithmetic::power_of_2(largest[r] - shift);
      largest[r] = most;
      total[r] *= scale;
      BASIN_UNROLL
      for (int n = 0; n < kKeys / 8; ++n) {
        BASIN_UNROLL
        for (int c = 0; c < 2; ++c) {
          float& score = scores[n][2 * r + c];
          score = Arithmetic::power_of_2(score - shift);
          total[r] += score;
        }
      }
      BASIN_UNROLL
      for (int n = 0; n < kWidth / 8; ++n) {
        out[n][2 * r] *= scale;
        out[n][2 * r + 1] *= scale;
      }
    }
    if constexpr (kPipelined) {
      copy_async_wait<1>();
      __syncthreads();  // the values are there, these keys have been used
    }
    Number* const values = v_tiles + place * kKeys * kRow;
    if (partial && !all_finite<kKeys, kWidth>(values)) {
      add_not_finite<kKeys, kWidth, kWidth>(values, out, sees);
      clear_not_finite<kKeys, kWidth>(values);
    }
    if constexpr (kPipelined) {
      load_values(next, 1 - place);
    }
    Arithmetic::template add_product<kKeys, kWidth, kWidth>(scores, values, out);
    key = next;
  }

  float scale[2];
  BASIN_UNROLL
  for (int r = 0; r < 2; ++r) {
    const float sum = over_four<Sum>(total[r]);
    const bool blind = largest[r] == Maximum::identity<float>();
    scale[r] = blind ? 0.0f : 1.0f / sum;
    if (lane % 4 == 0 && rows[r] < p.L) {
      static_cast<float*>(p.lse)[head * p.L + rows[r]] =
          blind ? Maximum::identity<float>() : (largest[r] + std::log2(sum)) * kLnOf2;
    }
  }
  const std::int64_t first = query + warp_row;
  write_rows<kWidth, kWidth>(out, scale, q_tile + warp_row * kRow,
                             p.out.head<Number>(b, h) + first * p.out.row_stride, p.out.row_stride,
                             p.L - first, static_cast<int>(p.Dv), stores_wide);
}

}  // namespace

}  // namespace basin::kernels

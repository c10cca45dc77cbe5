// Softmax attention in bf16 on tensor cores (sm_80 and later): a block of four warps for 64 queries
// of one head, each warp for 16 of them. As in softmax_attention_forward.cuh it passes over tiles
// of keys with a running maximum (M. Milakov, N. Gimelshein 2018; T. Dao et al. 2022), but scores
// and weights never leave the registers: the accumulators of Q K^T lie in a warp as the left
// operand of the product with V has to (fragments.h), so they need rounding only. Keys and values
// have two places each: the next tile arrives in the background while this one is used.
#pragma once

#include <cmath>

#include "kernels/association/prefix_visibility.cuh"
#include "kernels/association/softmax_attention.h"
#include "kernels/association/tiles.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/ptx_matrix.cuh"

namespace basin::kernels {

namespace {

constexpr float kLog2OfE = 1.44269504088896341f;
constexpr float kLnOf2 = 0.693147180559945309f;

template <int kWidth>
struct TensorForwardTile {
  static constexpr int kQueries = 64;
  static constexpr int kRowsOfWarp = 16;
  static constexpr int kKeys = kWidth > 128 ? 32 : 64;  // two blocks on a multiprocessor of 8.0
  static constexpr int kRow = kRowOf<BFloat16, kWidth>;
  // Queries, two places for keys, two for values.
  static constexpr std::size_t kBytes = sizeof(BFloat16) * (kQueries + 4 * kKeys) * kRow;
  static_assert(kQueries == kRowsOfWarp * kTileThreads / kWarpSize);
};

BASIN_DEVICE inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % kWarpSize; }

BASIN_DEVICE inline bool is_finite(BFloat16 number) { return (number.bits & 0x7F80) != 0x7F80; }

/// The maximum or sum over the four lanes that hold a row of an accumulator.
template <class Op>
BASIN_DEVICE float over_four(float value) {
  value = Op::of(value, __shfl_xor_sync(kAllLanes, value, 1));
  return Op::of(value, __shfl_xor_sync(kAllLanes, value, 2));
}

/// Scores of a warp's 16 queries with kKeys keys: scores[n] is the accumulator of keys 8 n ... 8 n
/// +
/// 7. `q` is the warp's first row, `k` the tile's.
template <int kKeys, int kWidth>
BASIN_DEVICE void score_keys(const BFloat16* q, const BFloat16* k, float (&scores)[kKeys / 8][4]) {
  constexpr int kRow = kRowOf<BFloat16, kWidth>;
  const int matrix = lane_of_warp() / 8;
  const int row = lane_of_warp() % 8;
  const BFloat16* const q_row = q + (matrix % 2 * 8 + row) * kRow + matrix / 2 * 8;
  const BFloat16* const k_row = k + (matrix / 2 * 8 + row) * kRow + matrix % 2 * 8;
  BASIN_UNROLL
  for (int d = 0; d < kWidth; d += M16N8K16::kK) {
    std::uint32_t left[4];
    load_matrices(left, q_row + d);
    BASIN_UNROLL
    for (int n = 0; n < kKeys / 8; n += 2) {
      std::uint32_t right[4];
      load_matrices(right, k_row + n * 8 * kRow + d);
      const std::uint32_t first[2] = {right[0], right[1]};
      const std::uint32_t second[2] = {right[2], right[3]};
      multiply_16x8x16<BFloat16>(scores[n], left, first);
      multiply_16x8x16<BFloat16>(scores[n + 1], left, second);
    }
  }
}

/// out += weights V for the warp's 16 queries, the weights rounded to bf16.
template <int kKeys, int kWidth>
BASIN_DEVICE void add_values(const float (&weights)[kKeys / 8][4], const BFloat16* v,
                             float (&out)[kWidth / 8][4]) {
  constexpr int kRow = kRowOf<BFloat16, kWidth>;
  const int matrix = lane_of_warp() / 8;
  const int row = lane_of_warp() % 8;
  const BFloat16* const v_row = v + (matrix % 2 * 8 + row) * kRow + matrix / 2 * 8;
  BASIN_UNROLL
  for (int j = 0; j < kKeys / 16; ++j) {
    const float(&low)[4] = weights[2 * j];
    const float(&high)[4] = weights[2 * j + 1];
    const std::uint32_t left[4] = {pack_bfloat16(low[0], low[1]), pack_bfloat16(low[2], low[3]),
                                   pack_bfloat16(high[0], high[1]),
                                   pack_bfloat16(high[2], high[3])};
    BASIN_UNROLL
    for (int n = 0; n < kWidth / 8; n += 2) {
      std::uint32_t right[4];
      load_matrices<true>(right, v_row + j * 16 * kRow + n * 8);
      const std::uint32_t first[2] = {right[0], right[1]};
      const std::uint32_t second[2] = {right[2], right[3]};
      multiply_16x8x16<BFloat16>(out[n], left, first);
      multiply_16x8x16<BFloat16>(out[n + 1], left, second);
    }
  }
}

/// Whether every number of a tile of values is finite; the same answer in all warps.
template <int kKeys, int kWidth>
BASIN_DEVICE bool all_finite(const BFloat16* v) {
  constexpr int kChunks = kWidth / 8;
  bool finite = true;
  for (int at = lane_of_warp(); at < kKeys * kChunks; at += kWarpSize) {
    const Pack<BFloat16, 8> numbers =
        pack_at<8>(v + at / kChunks * kRowOf<BFloat16, kWidth> + at % kChunks * 8);
    BASIN_UNROLL
    for (int i = 0; i < 8; ++i) {
      finite = finite && is_finite(numbers.v[i]);
    }
  }
  return __any_sync(kAllLanes, finite ? 0 : 1) == 0;
}

/// A weight of 0 times NaN is NaN, so a product may not meet a number that is not finite and hidden
/// from some of the queries. Adds such numbers to `out` where `sees(r, j)`, row r = 0 or 1 of the
/// lane and key j of the tile, and sets them to 0 in the tile. All threads of the block call it.
template <int kKeys, int kWidth, class Sees>
BASIN_DEVICE void take_out_not_finite(BFloat16* v, float (&out)[kWidth / 8][4], Sees sees) {
  constexpr int kRow = kRowOf<BFloat16, kWidth>;
  const int first_column = 2 * (lane_of_warp() % 4);
  for (int j = 0; j < kKeys; ++j) {
    const bool seen[2] = {sees(0, j), sees(1, j)};
    BASIN_UNROLL
    for (int n = 0; n < kWidth / 8; ++n) {
      BASIN_UNROLL
      for (int c = 0; c < 2; ++c) {
        const BFloat16 number = v[j * kRow + n * 8 + first_column + c];
        if (!is_finite(number)) {
          out[n][c] += seen[0] ? to_float(number) : 0.0f;
          out[n][2 + c] += seen[1] ? to_float(number) : 0.0f;
        }
      }
    }
  }
  __syncthreads();  // every warp has read them
  for (int at = static_cast<int>(threadIdx.x); at < kKeys * kWidth; at += kTileThreads) {
    BFloat16& number = v[at / kWidth * kRow + at % kWidth];
    number = is_finite(number) ? number : BFloat16{0};
  }
  __syncthreads();
}

/// The warp's rows of `out`, by way of `stage` (16 rows of shared memory of its own), so that a row
/// is written in whole pieces of 16 bytes where `wide` says that it can be.
template <int kWidth>
BASIN_DEVICE void store_rows(const float (&out)[kWidth / 8][4], const float (&scale)[2],
                             BFloat16* stage, BFloat16* to, std::int64_t row_stride, int rows,
                             int width, bool wide) {
  constexpr int kRow = kRowOf<BFloat16, kWidth>;
  const int lane = lane_of_warp();
  __syncwarp();
  BASIN_UNROLL
  for (int n = 0; n < kWidth / 8; ++n) {
    BASIN_UNROLL
    for (int r = 0; r < 2; ++r) {
      Pack<BFloat16, 2> pair;
      pair.v[0] = to_bfloat16(out[n][2 * r] * scale[r]);
      pair.v[1] = to_bfloat16(out[n][2 * r + 1] * scale[r]);
      *reinterpret_cast<Pack<BFloat16, 2>*>(stage + (lane / 4 + 8 * r) * kRow + n * 8 +
                                            2 * (lane % 4)) = pair;
    }
  }
  __syncwarp();
  constexpr int kChunks = kWidth / 8;
  for (int at = lane; at < 16 * kChunks; at += kWarpSize) {
    const int row = at / kChunks;
    const int column = at % kChunks * 8;
    const BFloat16* const from = stage + row * kRow + column;
    BFloat16* const target = to + row * row_stride + column;
    if (row < rows && wide && column + 8 <= width) {
      *reinterpret_cast<Pack<BFloat16, 8>*>(target) = pack_at<8>(from);
    } else if (row < rows) {
      for (int i = 0; i < 8 && column + i < width; ++i) {
        target[i] = from[i];
      }
    }
  }
}

/// `tiles`: of queries, in each head. `wide`: q, k and v can be copied 16 bytes at a time; `stores
/// wide`: so can rows of out.
template <int kWidth, class Visibility>
BASIN_KERNEL void tensor_attention_forward_kernel(AttentionForward p, std::int64_t tiles, bool wide,
                                                  bool stores_wide) {
  using Tile = TensorForwardTile<kWidth>;
  constexpr int kKeys = Tile::kKeys;
  constexpr int kRow = Tile::kRow;
  BFloat16* const q_tile = dynamic_shared<BFloat16>();
  BFloat16* const k_tiles = q_tile + Tile::kQueries * kRow;
  BFloat16* const v_tiles = k_tiles + 2 * kKeys * kRow;

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

  const BFloat16* const k = p.k.head<BFloat16>(b, h);
  const BFloat16* const v = p.v.head<BFloat16>(b, h);
  const int warp_row = static_cast<int>(threadIdx.x) / kWarpSize * Tile::kRowsOfWarp;
  const int lane = lane_of_warp();
  // The lane's two rows, and the first of its columns in each group of 8.
  const std::int64_t rows[2] = {query + warp_row + lane / 4, query + warp_row + lane / 4 + 8};
  const int column = 2 * (lane % 4);
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
    load_tile<Tile::kQueries, kWidth>(
        q_tile, static_cast<const BFloat16*>(p.q.head<BFloat16>(b, h)), p.q.row_stride, query,
        query_end, static_cast<int>(p.D), wide);
    load_keys(key, 0);
    load_values(key, 0);
  }
  for (int place = 0; key < key_end; place = 1 - place) {
    const std::int64_t next = next_from(key + kKeys);
    copy_async_wait<1>();
    __syncthreads();  // these keys are there, the values of the tile before have been used
    load_keys(next, 1 - place);
    float scores[kKeys / 8][4] = {};
    score_keys<kKeys, kWidth>(q_tile + warp_row * kRow, k_tiles + place * kKeys * kRow, scores);

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
      const float scale = power_of_2(largest[r] - shift);
      largest[r] = most;
      total[r] *= scale;
      BASIN_UNROLL
      for (int n = 0; n < kKeys / 8; ++n) {
        BASIN_UNROLL
        for (int c = 0; c < 2; ++c) {
          float& score = scores[n][2 * r + c];
          score = power_of_2(score - shift);
          total[r] += score;
        }
      }
      BASIN_UNROLL
      for (int n = 0; n < kWidth / 8; ++n) {
        out[n][2 * r] *= scale;
        out[n][2 * r + 1] *= scale;
      }
    }
    copy_async_wait<1>();
    __syncthreads();  // the values are there, these keys have been used
    BFloat16* const values = v_tiles + place * kKeys * kRow;
    if (partial && !all_finite<kKeys, kWidth>(values)) {
      take_out_not_finite<kKeys, kWidth>(values, out, sees);
    }
    load_values(next, 1 - place);
    add_values<kKeys, kWidth>(scores, values, out);
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
  const std::int64_t rows_left = query_end - first;
  store_rows<kWidth>(out, scale, q_tile + warp_row * kRow,
                     p.out.head<BFloat16>(b, h) + first * p.out.row_stride, p.out.row_stride,
                     static_cast<int>(rows_left < 0 ? 0 : rows_left), static_cast<int>(p.Dv),
                     stores_wide);
}

}  // namespace

}  // namespace basin::kernels

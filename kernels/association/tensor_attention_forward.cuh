// Softmax attention on tensor cores (sm_80 and later): a block of four warps for 64 queries
// of one head, each warp for 16 of them. As in softmax_attention_forward.cuh it passes over tiles
// of keys with a running maximum (M. Milakov, N. Gimelshein 2018; T. Dao et al. 2022), but scores
// and weights never leave the registers: the accumulators of Q K^T lie in a warp as the left
// operand of the product with V has to (fragments.h), so they need rounding only. Keys and values
// have two places each: the next tile arrives in the background while this one is used.
#pragma once

#include <cmath>

#include "kernels/association/key_split.h"
#include "kernels/association/lane_sight.cuh"
#include "kernels/association/softmax_attention_forward.cuh"
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

/// A block for a part of the keys and a tile of queries. `tiles`: of queries, in each head. `wide`:
/// q, k and v can be copied 16 bytes at a time; `stores_wide`: so can rows of out.
template <class Arithmetic, int kWidth, bool kPipelined, class Rule>
BASIN_KERNEL void tensor_attention_forward_kernel(AttentionForward p, Rule rule, KeySplit split,
                                                  std::int64_t tiles, bool wide, bool stores_wide) {
  using Number = typename Arithmetic::Number;
  using Tile = TensorForwardTile<Arithmetic, kWidth, kPipelined>;
  constexpr int kKeys = Tile::kKeys;
  constexpr int kRow = Tile::kRow;
  using Walk = typename Rule::template Walk<Side::queries, Tile::kQueries, kKeys, true>;
  using Sight = LaneSight<kKeys>;
  Number* const q_tile = dynamic_shared<Number>();
  Number* const k_tiles = q_tile + Tile::kQueries * kRow;
  Number* const v_tiles = k_tiles + Tile::kPlaces * kKeys * kRow;

  const std::int64_t part = blockIdx.x % split.parts;
  const std::int64_t block = blockIdx.x / split.parts;
  const std::int64_t head = block / tiles;
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  // The last tile first: of a causal head it takes the longest.
  const std::int64_t query = (tiles - 1 - block % tiles) * Tile::kQueries;
  Walk walk(rule, p, b, h, query, v_tiles + Tile::kPlaces * kKeys * kRow);
  if (split.parts > 1) {
    walk.limit_columns(part * split.keys, (part + 1) * split.keys);
  }

  const Number* const k = p.k.head<Number>(b, h);
  const Number* const v = p.v.head<Number>(b, h);
  const int warp_row = row_of_warp();
  const int lane = lane_of_warp();
  const float beta = static_cast<const float*>(p.beta)[h] * kLog2OfE;  // weights as powers of 2

  float largest[2] = {Maximum::identity<float>(), Maximum::identity<float>()};
  float total[2] = {};
  float out[kWidth / 8][4] = {};

  // Of the tile that the walk stands at, if there is one. An empty group is committed, too, so that
  // the waits below can count.
  bool more = walk.advance();
  const auto load_keys = [&](int place) {
    if (more) {
      walk.template load_columns<kWidth>(k_tiles + place * kKeys * kRow, k, p.k.row_stride, p.D,
                                         wide);
    }
    copy_async_commit();
  };
  const auto load_values = [&](int place) {
    if (more) {
      walk.template load_columns<kWidth>(v_tiles + place * kKeys * kRow, v, p.v.row_stride, p.Dv,
                                         wide);
    }
    copy_async_commit();
  };

  if (more) {
    walk.template load_rows<kWidth>(q_tile, static_cast<const Number*>(p.q.head<Number>(b, h)),
                                    p.q.row_stride, p.D, wide);
    if constexpr (kPipelined) {
      load_keys(0);
      load_values(0);
    }
  }
  for (int place = 0; more; place = (place + 1) % Tile::kPlaces) {
    if constexpr (kPipelined) {
      more = walk.advance();
      copy_async_wait<1>();
      __syncthreads();  // these keys are there, the values of the tile before have been used
      load_keys(1 - place);
    } else {
      __syncthreads();  // the tile before has been used
      load_keys(place);
      load_values(place);
      more = walk.advance();
      copy_async_wait<0>();
      __syncthreads();
    }
    float scores[kKeys / 8][4] = {};
    Arithmetic::template inner_products<kKeys, kWidth>(q_tile + warp_row * kRow,
                                                       k_tiles + place * kKeys * kRow, scores);

    const Sight sight = Sight::template of<Rule::kGathers>(walk.before());
    BASIN_UNROLL
    for (int r = 0; r < 2; ++r) {
      float most = largest[r];
      BASIN_UNROLL
      for (int n = 0; n < kKeys / 8; ++n) {
        BASIN_UNROLL
        for (int c = 0; c < 2; ++c) {
          float& score = scores[n][2 * r + c];
          score = sight.takes_part(n, c, r) ? score * beta : Maximum::identity<float>();
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
          if constexpr (Rule::kGathers) {
            score = sight.is_read(n, c, r) ? score : 0.0f;
          }
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
    if (sight.partial && !all_finite<kKeys, kWidth>(values)) {
      const auto before = walk.before();
      add_not_finite<kKeys, kWidth, kWidth>(values, out, [&](int r, int j) {
        return before.is_read(warp_row + lane / 4 + 8 * r, j);
      });
      clear_not_finite<kKeys, kWidth>(values);
    }
    if constexpr (kPipelined) {
      load_values(1 - place);
    }
    Arithmetic::template add_product<kKeys, kWidth, kWidth>(scores, values, out);
  }

  const bool whole = split.parts == 1;
  float scale[2];
  float* partial[2] = {};
  BASIN_UNROLL
  for (int r = 0; r < 2; ++r) {
    const std::int64_t i = query + warp_row + lane / 4 + 8 * r;
    const float sum = over_four<Sum>(total[r]);
    const bool blind = largest[r] == Maximum::identity<float>();
    scale[r] = blind ? 0.0f : walk.template scale<float>() / (whole ? sum : 1.0f);
    if (i >= p.L) {
      continue;
    }
    const float most = largest[r] * kLnOf2;
    if (!whole) {
      partial[r] = partial_of<float>(p, split, head * p.L + i, part);
      if (lane % 4 == 0) {
        partial[r][p.Dv] = most;
        partial[r][p.Dv + 1] = sum;
      }
    } else if (lane % 4 == 0) {
      rule.keep(p, head * p.L + i, most, sum);
    }
  }
  if (whole) {
    const std::int64_t first = query + warp_row;
    write_rows<kWidth, kWidth>(out, scale, q_tile + warp_row * kRow,
                               p.out.head<Number>(b, h) + first * p.out.row_stride,
                               p.out.row_stride, p.L - first, static_cast<int>(p.Dv), stores_wide);
  } else {
    write_sums<kWidth>(out, scale, partial, static_cast<int>(p.Dv), false);
  }
}

}  // namespace

}  // namespace basin::kernels

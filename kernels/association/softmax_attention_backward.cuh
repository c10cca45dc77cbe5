// The gradients of softmax attention on a GPU. The weights of a tile are computed again from lse.
// One kernel does both directions: a block has a tile of queries and passes over the keys for dq,
// or a tile of keys and passes over the queries for dk and dv. So a result belongs to one block, is
// summed up in one order, and no two blocks write to one place.
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

// The keys' side has two results in registers, the queries' side one. Beside the widest of them a
// walk that gathers needs room, too.
template <class T, int kWidth, Side kSide, class Rule>
struct BackwardTile {
  static constexpr bool kKeys = kSide == Side::keys;
  static constexpr int kNarrow = kKeys && kWidth > 64 ? 4 : 8;
  static constexpr int kWide = kKeys && Rule::kGathers ? 2 : 4;
  static constexpr int kR =
      sizeof(T) == 4 ? (kWidth > 128 ? kWide : kNarrow) : (kWidth > 64 ? kNarrow / 4 : 4);
  static constexpr int kC = sizeof(T) == 8 ? (kWidth > 64 ? 1 : 2) : (kWidth > 32 ? 2 : 4);
  static constexpr int kRows = kR * kDown;
  static constexpr int kColumns = kC * kAcross;
  static constexpr int kRow = kRowOf<T, kWidth>;
  static constexpr int kScores = kRows * kRowOf<T, kColumns>;
  // Rows of q and dout or of k and v, columns of the other two, slopes and, for dv, weights.
  static constexpr std::size_t kBytes =
      sizeof(T) * (2 * kRows * kRow + 2 * kColumns * kRow + (kKeys ? 2 : 1) * kScores);
};

// What lse and delta of a query are to a tile: where there is no query there is nothing to read.
template <class T>
struct QueryStatistics {
  T lse;
  T delta;
};
template <class T, class Rule>
BASIN_DEVICE QueryStatistics<T> statistics_of(const AttentionBackward& p, const Rule& rule,
                                              const T* delta, std::int64_t head, std::int64_t i) {
  if (i < 0 || i >= p.L) {
    return {Maximum::identity<T>(), T(0)};
  }
  return {rule.template lse<T>(p, head * p.L + i), delta[head * p.L + i]};
}

/// The sums of each row there is, times `scale`, or added to what is there.
template <int kWidth, class T, int kR, class Walk>
BASIN_DEVICE void store_rows(const Walk& walk, const HeadView& view, std::int64_t b, std::int64_t h,
                             std::int64_t width, T scale, const T (&sums)[kR][kWidth / kAcross]) {
  constexpr int run = kRun<kWidth>;
  BASIN_UNROLL
  for (int r = 0; r < kR; ++r) {
    const std::int64_t row = walk.row(tile_y() + r * kDown);
    if (row < 0) {
      continue;
    }
    T* const to = view.head<T>(b, h) + row * view.row_stride;
    BASIN_UNROLL
    for (int first = 0; first < kWidth / kAcross; first += run) {
      const int column = column_of<kWidth>(first);
      T numbers[run] = {};
      if (walk.adds()) {
        load_run(to + column, width - column, numbers);
      }
      BASIN_UNROLL
      for (int c = 0; c < run; ++c) {
        numbers[c] += scale * sums[r][first + c];
      }
      store_run(to + column, width - column, numbers);
    }
  }
}

/// Rows first ... past - 1, if there are so many, to 0.
template <class T>
BASIN_DEVICE void clear_rows(const HeadView& view, std::int64_t b, std::int64_t h,
                             std::int64_t first, std::int64_t past, std::int64_t width) {
  T* const to = view.head<T>(b, h);
  for (std::int64_t at = threadIdx.x; at < (past - first) * width; at += kTileThreads) {
    to[(first + at / width) * view.row_stride + at % width] = T(0);
  }
}

/// From one part of dq to the next; a multiple of 4.
BASIN_HOST_DEVICE inline std::int64_t partial_stride(const AttentionBackward& p) {
  return (p.D + 3) / 4 * 4;
}

/// `tiles`: of rows, in each head. Of the side of the queries each has split.parts blocks, of which
/// each has a place in `dbeta_parts` and, if there are several, leaves a part of dq in (B, H, L,
/// parts, partial_stride()).
template <class T, int kWidth, Side kSide, class Rule>
BASIN_KERNEL void attention_gradient_kernel(AttentionBackward p, Rule rule, KeySplit split,
                                            const T* delta, double* dbeta_parts, std::int64_t tiles,
                                            bool wide) {
  using Tile = BackwardTile<T, kWidth, kSide, Rule>;
  using Walk = typename Rule::template Walk<kSide, Tile::kRows, Tile::kColumns>;
  constexpr bool of_keys = kSide == Side::keys;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  T* const row_scores = dynamic_shared<T>();                    // q or k: what scores are made of
  T* const row_values = row_scores + Tile::kRows * Tile::kRow;  // dout or v
  T* const column_scores = row_values + Tile::kRows * Tile::kRow;
  T* const column_values = column_scores + Tile::kColumns * Tile::kRow;
  T* const slopes = column_values + Tile::kColumns * Tile::kRow;
  T* const weights = slopes + Tile::kScores;  // of the keys' side
  T* const behind = of_keys ? weights + Tile::kScores : weights;

  const std::int64_t part = of_keys ? 0 : blockIdx.x % split.parts;
  const std::int64_t block = of_keys ? blockIdx.x : blockIdx.x / split.parts;
  const std::int64_t head = block / tiles;
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  const std::int64_t tile = block % tiles;
  const std::int64_t first = of_keys ? tile * rule.keys_of_block(Tile::kRows)
                                     : (tiles - 1 - tile) * Tile::kRows;  // long ones first
  if (of_keys && rule.adds()) {
    const std::int64_t past = first + rule.keys_of_block(Tile::kRows);
    clear_rows<T>(p.dk, b, h, first, past < p.M ? past : p.M, p.D);
    clear_rows<T>(p.dv, b, h, first, past < p.M ? past : p.M, p.Dv);
  }
  Walk walk(rule, p, b, h, first, behind);
  if constexpr (!of_keys) {
    if (split.parts > 1) {
      walk.limit_columns(part * split.keys, (part + 1) * split.keys);
    }
  }

  const HeadView& q = of_keys ? p.k : p.q;
  const HeadView& dout = of_keys ? p.v : p.dout;
  const HeadView& k = of_keys ? p.q : p.k;
  const HeadView& v = of_keys ? p.dout : p.v;
  const std::int64_t D = p.D;
  const std::int64_t Dv = p.Dv;
  const T beta = static_cast<const T*>(p.beta)[h];
  const T kept = walk.template scale<T>();
  QueryStatistics<T> of_rows[of_keys ? 1 : kR];
  if constexpr (!of_keys) {
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      of_rows[r] = statistics_of(p, rule, delta, head, walk.row(tile_y() + r * kDown));
    }
  }

  while (true) {
    if constexpr (Rule::kGathers) {
      if (!walk.next_rows()) {
        break;
      }
    }
    T of_scores[kR][kWidth / kAcross] = {};                // dq or dk
    T of_values[of_keys ? kR : 1][kWidth / kAcross] = {};  // dv
    walk.template load_rows<kWidth>(row_scores, static_cast<const T*>(q.head<T>(b, h)),
                                    q.row_stride, D, wide);
    walk.template load_rows<kWidth>(row_values, static_cast<const T*>(dout.head<T>(b, h)),
                                    dout.row_stride, Dv, wide);
    while (walk.advance()) {
      walk.template load_columns<kWidth>(column_scores, static_cast<const T*>(k.head<T>(b, h)),
                                         k.row_stride, D, wide);
      walk.template load_columns<kWidth>(column_values, static_cast<const T*>(v.head<T>(b, h)),
                                         v.row_stride, Dv, wide);
      copy_async_commit();
      copy_async_wait<0>();
      __syncthreads();
      T scores[kR][kC] = {};
      inner_products<kWidth>(row_scores, column_scores, scores);
      T dweights[kR][kC] = {};
      inner_products<kWidth>(row_values, column_values, dweights);

      auto sight = walk.sight();
      if constexpr (Rule::kGathers) {
        if (rule.has_thresholds()) {
          rule.template drop_below<kSide>(walk, head * p.L, beta, scores, sight);
        }
      }
      const bool partial = sight.partial;
      BASIN_UNROLL
      for (int c = 0; c < kC; ++c) {
        QueryStatistics<T> statistics{};
        if constexpr (of_keys) {
          statistics = statistics_of(p, rule, delta, head, walk.column(tile_x() + c * kAcross));
        }
        BASIN_UNROLL
        for (int r = 0; r < kR; ++r) {
          if constexpr (!of_keys) {
            statistics = of_rows[r];
          }
          const bool counted = !partial || sight.takes_part(r, c);
          const bool read = !partial || sight.is_read(counted, r, c);
          const T weight = exp_of(beta * scores[r][c] - statistics.lse);
          const T gain = read ? kept * dweights[r][c] : T(0);
          const int at =
              (tile_y() + r * kDown) * kRowOf<T, Tile::kColumns> + tile_x() + c * kAcross;
          slopes[at] = counted ? weight * (gain - statistics.delta) : T(0);
          if constexpr (of_keys) {
            weights[at] = read ? weight : T(-1);
          }
        }
      }
      __syncthreads();
      if (partial) {
        add_product<ZeroHidden, Tile::kColumns, kWidth>(slopes, column_scores, of_scores);
      } else {
        add_product<NoneHidden, Tile::kColumns, kWidth>(slopes, column_scores, of_scores);
      }
      if constexpr (of_keys) {
        if (partial) {
          add_product<NegativeHidden, Tile::kColumns, kWidth>(weights, column_values, of_values);
        } else {
          add_product<NoneHidden, Tile::kColumns, kWidth>(weights, column_values, of_values);
        }
      }
      __syncthreads();  // before the next columns and slopes are written
    }
    copy_async_commit();  // of rows that see nothing
    copy_async_wait<0>();
    __syncthreads();

    if constexpr (of_keys) {
      store_rows<kWidth>(walk, p.dk, b, h, D, beta, of_scores);
      store_rows<kWidth>(walk, p.dv, b, h, Dv, kept, of_values);
    } else {
      HeadView to = p.dq;
      if (split.parts > 1) {
        const std::int64_t row = split.parts * partial_stride(p);
        to = {static_cast<T*>(split.partial) + part * partial_stride(p), p.H * p.L * row, p.L * row,
              row};
      }
      store_rows<kWidth>(walk, to, b, h, D, beta, of_scores);
      if (dbeta_parts != nullptr) {
        // q_i . sum_j dS_ij k_j; where a query sees nothing, it may be NaN.
        double dbeta = 0;
        BASIN_UNROLL
        for (int r = 0; r < kR; ++r) {
          const bool blind = of_rows[r].lse == Maximum::identity<T>();
          BASIN_UNROLL
          for (int at = 0; at < kWidth / kAcross; ++at) {
            const T number =
                row_scores[(tile_y() + r * kDown) * Tile::kRow + column_of<kWidth>(at)];
            dbeta += blind || of_scores[r][at] == T(0)
                         ? 0.0
                         : static_cast<double>(of_scores[r][at]) * static_cast<double>(number);
          }
        }
        dbeta = block_reduce<Sum>(dbeta);
        if (threadIdx.x == 0) {
          dbeta_parts[(head * tiles + tile) * split.parts + part] = dbeta;
        }
      }
    }
    if constexpr (!Rule::kGathers) {
      break;
    }
  }
}

/// What blocks leave of the rows of every head, to be added up: (heads, rows, parts, stride).
struct RowParts {
  const void* data;
  std::int64_t heads, rows, width, parts, stride;
};

/// Adds them up in order, a thread for an element. `Out` is what `to` is stored in, which has H
/// heads.
template <class T, class Out>
BASIN_KERNEL void attention_sum_rows_kernel(RowParts from, HeadView to, std::int64_t H) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= from.heads * from.rows * from.width) {
    return;
  }
  const std::int64_t row = at / from.width;
  const std::int64_t c = at % from.width;
  const T* const parts = static_cast<const T*>(from.data) + row * from.parts * from.stride + c;
  T sum = 0;
  for (std::int64_t part = 0; part < from.parts; ++part) {
    sum += parts[part * from.stride];
  }
  const std::int64_t head = row / from.rows;
  to.head<Out>(head / H, head % H)[row % from.rows * to.row_stride + c] = stored_as<Out>(sum);
}

/// dbeta of a head from the parts of its tiles in all batch items: a block for a head.
template <class T>
BASIN_KERNEL void attention_dbeta_kernel(AttentionBackward p, const double* parts,
                                         std::int64_t tiles) {
  const std::int64_t h = blockIdx.x;
  double sum = 0;
  for (std::int64_t at = threadIdx.x; at < p.B * tiles; at += blockDim.x) {
    sum += parts[(at / tiles * p.H + h) * tiles + at % tiles];
  }
  sum = block_reduce<Sum>(sum);
  if (threadIdx.x == 0) {
    static_cast<T*>(p.dbeta)[h] = static_cast<T>(sum);
  }
}

}  // namespace

}  // namespace basin::kernels

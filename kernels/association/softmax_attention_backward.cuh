// The gradients of softmax attention on a GPU. The weights of a tile are computed again from lse.
// One kernel does both directions: a block has a tile of queries and passes over the keys for dq,
// or a tile of keys and passes over the queries for dk and dv. So a result belongs to one block, is
// summed up in one order, and no two blocks write to one place.
#pragma once

#include <cmath>

#include "kernels/association/prefix_visibility.cuh"
#include "kernels/association/softmax_attention.h"
#include "kernels/association/tiles.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/math.h"

namespace basin::kernels {

namespace {

// Whose gradient a block computes. Rows below are of that side, columns of the other.
enum class Side : std::uint8_t { queries, keys };

// The keys' side has two results in registers, the queries' side one.
template <class T, int kWidth, Side kSide>
struct BackwardTile {
  static constexpr bool kKeys = kSide == Side::keys;
  static constexpr int kNarrow = kKeys && kWidth > 64 ? 4 : 8;
  static constexpr int kR =
      sizeof(T) == 4 ? (kWidth > 128 ? 4 : kNarrow) : (kWidth > 64 ? kNarrow / 4 : 4);
  static constexpr int kC = sizeof(T) == 8 ? (kWidth > 64 ? 1 : 2) : (kWidth > 32 ? 2 : 4);
  static constexpr int kRows = kR * kDown;
  static constexpr int kColumns = kC * kAcross;
  static constexpr int kRow = kRowOf<T, kWidth>;
  static constexpr int kScores = kRows * kRowOf<T, kColumns>;
  // Rows of q and dout or of k and v, columns of the other two, slopes and, for dv, weights.
  static constexpr std::size_t kBytes =
      sizeof(T) * (2 * kRows * kRow + 2 * kColumns * kRow + (kKeys ? 2 : 1) * kScores);
};

// What lse and delta of a query are to a tile: beyond the queries there is nothing to read.
template <class T>
struct QueryStatistics {
  T lse;
  T delta;
};
template <class T>
BASIN_DEVICE QueryStatistics<T> statistics_of(const AttentionBackward& p, const T* delta,
                                              std::int64_t head, std::int64_t i) {
  if (i >= p.L) {
    return {Maximum::identity<T>(), T(0)};
  }
  return {static_cast<const T*>(p.lse)[head * p.L + i], delta[head * p.L + i]};
}

template <int kWidth, class T, int kR>
BASIN_DEVICE void store_rows(const HeadView& view, std::int64_t b, std::int64_t h,
                             std::int64_t first, std::int64_t rows, std::int64_t width, T scale,
                             const T (&sums)[kR][kWidth / kAcross]) {
  T* const to = view.head<T>(b, h);
  BASIN_UNROLL
  for (int r = 0; r < kR; ++r) {
    const std::int64_t row = first + tile_y() + r * kDown;
    BASIN_UNROLL
    for (int at = 0; at < kWidth / kAcross; ++at) {
      const int column = column_of<kWidth>(at);
      if (row < rows && column < width) {
        to[row * view.row_stride + column] = scale * sums[r][at];
      }
    }
  }
}

/// `tiles`: of rows, in each head. `dbeta_parts`: one for each of the B H tiles blocks of the
/// queries' side.
template <class T, int kWidth, Side kSide, class Visibility>
BASIN_KERNEL void attention_gradient_kernel(AttentionBackward p, const T* delta,
                                            double* dbeta_parts, std::int64_t tiles, bool wide) {
  using Tile = BackwardTile<T, kWidth, kSide>;
  constexpr bool of_keys = kSide == Side::keys;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  T* const row_scores = dynamic_shared<T>();                    // q or k: what scores are made of
  T* const row_values = row_scores + Tile::kRows * Tile::kRow;  // dout or v
  T* const column_scores = row_values + Tile::kRows * Tile::kRow;
  T* const column_values = column_scores + Tile::kColumns * Tile::kRow;
  T* const slopes = column_values + Tile::kColumns * Tile::kRow;
  T* const weights = slopes + Tile::kScores;  // of the keys' side

  const std::int64_t head = blockIdx.x / tiles;
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  const std::int64_t tile = blockIdx.x % tiles;
  const std::int64_t rows = of_keys ? p.M : p.L;
  const std::int64_t row = (of_keys ? tile : tiles - 1 - tile) * Tile::kRows;  // long ones first
  const std::int64_t row_end = row + Tile::kRows < rows ? row + Tile::kRows : rows;
  const Visibility visibility(p, b, h);
  const std::int64_t keys_seen = visibility.key_end(of_keys ? p.L : row_end);
  const std::int64_t column_end = of_keys ? p.L : keys_seen;

  const auto kind_of = [&](std::int64_t column) {
    const std::int64_t past = column + Tile::kColumns;
    const std::int64_t columns = of_keys ? p.L : p.M;
    const std::int64_t end = past < columns ? past : columns;
    const TileKind kind = of_keys ? visibility.classify(column, end, row, row_end)
                                  : visibility.classify(row, row_end, column, end);
    const bool cut = end != past || row_end - row < Tile::kRows;
    return kind == TileKind::full && cut ? TileKind::partial : kind;
  };
  const auto next_from = [&](std::int64_t column) {
    while (column < column_end && kind_of(column) == TileKind::skip) {
      column += Tile::kColumns;
    }
    return column;
  };

  const HeadView& q = of_keys ? p.k : p.q;
  const HeadView& dout = of_keys ? p.v : p.dout;
  const HeadView& k = of_keys ? p.q : p.k;
  const HeadView& v = of_keys ? p.dout : p.v;
  const int D = static_cast<int>(p.D);
  const int Dv = static_cast<int>(p.Dv);
  const T beta = static_cast<const T*>(p.beta)[h];
  T of_scores[kR][kWidth / kAcross] = {};                // dq or dk
  T of_values[of_keys ? kR : 1][kWidth / kAcross] = {};  // dv
  QueryStatistics<T> of_rows[of_keys ? 1 : kR];
  if constexpr (!of_keys) {
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      of_rows[r] = statistics_of(p, delta, head, row + tile_y() + r * kDown);
    }
  }

  const std::int64_t readable = of_keys && keys_seen < row_end ? keys_seen : row_end;
  const std::int64_t start = of_keys ? visibility.query_begin(row) : 0;
  std::int64_t column = next_from(start / Tile::kColumns * Tile::kColumns);
  if (column < column_end) {
    load_tile<Tile::kRows, kWidth>(row_scores, static_cast<const T*>(q.head<T>(b, h)), q.row_stride,
                                   row, readable, D, wide);
    load_tile<Tile::kRows, kWidth>(row_values, static_cast<const T*>(dout.head<T>(b, h)),
                                   dout.row_stride, row, readable, Dv, wide);
  }
  while (column < column_end) {
    load_tile<Tile::kColumns, kWidth>(column_scores, static_cast<const T*>(k.head<T>(b, h)),
                                      k.row_stride, column, column_end, D, wide);
    load_tile<Tile::kColumns, kWidth>(column_values, static_cast<const T*>(v.head<T>(b, h)),
                                      v.row_stride, column, column_end, Dv, wide);
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    T scores[kR][kC] = {};
    inner_products<kWidth>(row_scores, column_scores, scores);
    T dweights[kR][kC] = {};
    inner_products<kWidth>(row_values, column_values, dweights);

    const bool partial = kind_of(column) == TileKind::partial;
    BASIN_UNROLL
    for (int c = 0; c < kC; ++c) {
      const std::int64_t across = column + tile_x() + c * kAcross;
      QueryStatistics<T> statistics{};
      if constexpr (of_keys) {
        statistics = statistics_of(p, delta, head, across);
      }
      BASIN_UNROLL
      for (int r = 0; r < kR; ++r) {
        const std::int64_t down = row + tile_y() + r * kDown;
        if constexpr (!of_keys) {
          statistics = of_rows[r];
        }
        const bool hidden =
            partial && !(down < readable && across < column_end &&
                         (of_keys ? visibility.keep(across, down) : visibility.keep(down, across)));
        const T weight = exp_of(beta * scores[r][c] - statistics.lse);
        const int at = (tile_y() + r * kDown) * kRowOf<T, Tile::kColumns> + tile_x() + c * kAcross;
        slopes[at] = hidden ? T(0) : weight * (dweights[r][c] - statistics.delta);
        if constexpr (of_keys) {
          weights[at] = hidden ? T(-1) : weight;
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
    column = next_from(column + Tile::kColumns);
  }

  if constexpr (of_keys) {
    store_rows<kWidth>(p.dk, b, h, row, p.M, p.D, beta, of_scores);
    store_rows<kWidth>(p.dv, b, h, row, p.M, p.Dv, T(1), of_values);
  } else {
    store_rows<kWidth>(p.dq, b, h, row, p.L, p.D, beta, of_scores);
    if (dbeta_parts != nullptr) {
      // q_i . sum_j dS_ij k_j, of queries that see something: the others have not been loaded.
      double part = 0;
      BASIN_UNROLL
      for (int r = 0; r < kR; ++r) {
        const bool blind = of_rows[r].lse == Maximum::identity<T>();
        BASIN_UNROLL
        for (int at = 0; at < kWidth / kAcross; ++at) {
          const T number = row_scores[(tile_y() + r * kDown) * Tile::kRow + column_of<kWidth>(at)];
          part += blind ? 0.0 : static_cast<double>(of_scores[r][at]) * static_cast<double>(number);
        }
      }
      part = block_reduce<Sum>(part);
      if (threadIdx.x == 0) {
        dbeta_parts[head * tiles + tile] = part;
      }
    }
  }
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

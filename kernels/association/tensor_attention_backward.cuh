// The gradients of softmax attention on tensor cores. As in softmax_attention_backward.cuh
// one kernel does both sides, a block has 64 rows of one side and passes over tiles of the other,
// and every result has one owner and one order of summation. Weights and slopes stay in registers:
// accumulators of one product are the left operand of the next.
#pragma once

#include "kernels/association/softmax_attention_backward.cuh"
#include "kernels/association/tensor_tiles.cuh"

namespace basin::kernels {

namespace {

// The keys' side has two results in registers. At width 256 they do not fit: a block then computes
// half of their columns, and another the other half with the same scores.
template <class Arithmetic, int kWidth, Side kSide>
struct TensorBackwardTile {
  using Number = typename Arithmetic::Number;
  static constexpr int kParts = kSide == Side::keys && kWidth > 128 ? 2 : 1;
  static constexpr int kOut = kWidth / kParts;
  static constexpr int kColumns = Arithmetic::template kColumns<kWidth>;
  static constexpr int kRow = kRowOf<Number, kWidth>;
  // Two matrices of rows, and two places for two matrices of columns and what the keys' side has to
  // know of each of its queries.
  static constexpr std::size_t kBytes =
      sizeof(Number) * (2 * kTensorRows + 4 * kColumns) * kRow + sizeof(float) * 4 * kColumns;
};

/// `tiles`: of rows, in each head; each has kParts blocks. `dbeta_parts`: one for each of the B H
/// tiles blocks of the queries' side. `wide`: all that is read can be copied 16 bytes at a time;
/// `stores_wide`: what is written can, too.
template <class Arithmetic, int kWidth, Side kSide, class Visibility>
BASIN_KERNEL void tensor_gradient_kernel(AttentionBackward p, const float* delta,
                                         double* dbeta_parts, std::int64_t tiles, bool wide,
                                         bool stores_wide) {
  using Number = typename Arithmetic::Number;
  using Tile = TensorBackwardTile<Arithmetic, kWidth, kSide>;
  constexpr bool of_keys = kSide == Side::keys;
  constexpr int kColumns = Tile::kColumns;
  constexpr int kRow = Tile::kRow;
  constexpr int kOut = Tile::kOut;
  Number* const row_scores = dynamic_shared<Number>();         // q or k: what scores are made of
  Number* const row_values = row_scores + kTensorRows * kRow;  // dout or v
  Number* const columns = row_values + kTensorRows * kRow;
  float* const statistics = reinterpret_cast<float*>(columns + 4 * kColumns * kRow);

  const std::int64_t block = blockIdx.x / Tile::kParts;
  const int offset = static_cast<int>(blockIdx.x % Tile::kParts) * kOut;  // of the columns written
  const std::int64_t head = block / tiles;
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  const std::int64_t tile = block % tiles;
  const std::int64_t rows = of_keys ? p.M : p.L;
  const std::int64_t row = (of_keys ? tile : tiles - 1 - tile) * kTensorRows;  // long ones first
  const std::int64_t row_end = row + kTensorRows < rows ? row + kTensorRows : rows;
  const Visibility visibility(p, b, h);
  const std::int64_t keys_seen = visibility.key_end(of_keys ? p.L : row_end);
  const std::int64_t column_end = of_keys ? p.L : keys_seen;
  const std::int64_t readable = of_keys && keys_seen < row_end ? keys_seen : row_end;

  const auto kind_of = [&](std::int64_t column) {
    const std::int64_t past = column + kColumns;
    const std::int64_t all = of_keys ? p.L : p.M;
    const std::int64_t end = past < all ? past : all;
    const TileKind kind = of_keys ? visibility.classify(column, end, row, row_end)
                                  : visibility.classify(row, row_end, column, end);
    const bool cut = end != past || row_end - row < kTensorRows;
    return kind == TileKind::full && cut ? TileKind::partial : kind;
  };
  const auto next_from = [&](std::int64_t column) {
    while (column < column_end && kind_of(column) == TileKind::skip) {
      column += kColumns;
    }
    return column;
  };

  const HeadView& q = of_keys ? p.k : p.q;
  const HeadView& dout = of_keys ? p.v : p.dout;
  const HeadView& k = of_keys ? p.q : p.k;
  const HeadView& v = of_keys ? p.dout : p.v;
  const int D = static_cast<int>(p.D);
  const int Dv = static_cast<int>(p.Dv);
  const float beta = static_cast<const float*>(p.beta)[h];
  const float beta_log2 = beta * kLog2OfE;  // weights as powers of 2
  const int warp_row = row_of_warp();
  const std::int64_t downs[2] = {row + warp_row + lane_of_warp() / 4,
                                 row + warp_row + lane_of_warp() / 4 + 8};
  float of_scores[kOut / 8][4] = {};                // dq or dk
  float of_values[of_keys ? kOut / 8 : 1][4] = {};  // dv
  QueryStatistics<float> of_rows[2] = {};
  if constexpr (!of_keys) {
    for (int r = 0; r < 2; ++r) {
      of_rows[r] = statistics_of(p, PrefixRule{}, delta, head, downs[r]);
    }
  }

  const auto scores_at = [&](int place) { return columns + place * 2 * kColumns * kRow; };
  const auto values_at = [&](int place) { return scores_at(place) + kColumns * kRow; };
  const auto load_columns = [&](std::int64_t column, int place) {
    if (column < column_end) {
      load_tile<kColumns, kWidth>(scores_at(place),
                                  static_cast<const Number*>(k.head<Number>(b, h)), k.row_stride,
                                  column, column_end, D, wide);
      load_tile<kColumns, kWidth>(values_at(place),
                                  static_cast<const Number*>(v.head<Number>(b, h)), v.row_stride,
                                  column, column_end, Dv, wide);
    }
    if (of_keys && column < column_end && threadIdx.x < 2 * kColumns) {
      // lse of the tile's queries, then delta.
      const int j = static_cast<int>(threadIdx.x) % kColumns;
      const float* const from = threadIdx.x < kColumns ? static_cast<const float*>(p.lse) : delta;
      const std::int64_t i = column + j < column_end ? column + j : column;
      copy_async<4>(statistics + place * 2 * kColumns + threadIdx.x, from + head * p.L + i);
    }
    copy_async_commit();  // an empty group, too, so that the wait below can count
  };

  const std::int64_t start = of_keys ? visibility.query_begin(row) : 0;
  std::int64_t column = next_from(start / kColumns * kColumns);
  if (column < column_end) {
    load_tile<kTensorRows, kWidth>(row_scores, static_cast<const Number*>(q.head<Number>(b, h)),
                                   q.row_stride, row, readable, D, wide);
    load_tile<kTensorRows, kWidth>(row_values, static_cast<const Number*>(dout.head<Number>(b, h)),
                                   dout.row_stride, row, readable, Dv, wide);
    load_columns(column, 0);
  }
  for (int place = 0; column < column_end; place = 1 - place) {
    const std::int64_t next = next_from(column + kColumns);
    load_columns(next, 1 - place);
    copy_async_wait<1>();
    __syncthreads();
    float weights[kColumns / 8][4] = {};
    Arithmetic::template inner_products<kColumns, kWidth>(row_scores + warp_row * kRow,
                                                          scores_at(place), weights);
    float slopes[kColumns / 8][4] = {};
    Arithmetic::template inner_products<kColumns, kWidth>(row_values + warp_row * kRow,
                                                          values_at(place), slopes);

    const bool partial = kind_of(column) == TileKind::partial;
    const auto sees = [&](int r, int j) {
      const std::int64_t across = column + j;
      return downs[r] < readable && across < column_end &&
             (of_keys ? visibility.keep(across, downs[r]) : visibility.keep(downs[r], across));
    };
    BASIN_UNROLL
    for (int n = 0; n < kColumns / 8; ++n) {
      BASIN_UNROLL
      for (int c = 0; c < 2; ++c) {
        const int j = n * 8 + column_of_lane() + c;
        BASIN_UNROLL
        for (int r = 0; r < 2; ++r) {
          const float* const of_column = statistics + place * 2 * kColumns + j;
          const QueryStatistics<float> of_query =
              of_keys ? QueryStatistics<float>{of_column[0], of_column[kColumns]} : of_rows[r];
          const bool hidden = partial && !sees(r, j);
          float& weight = weights[n][2 * r + c];
          float& slope = slopes[n][2 * r + c];
          weight =
              hidden ? 0.0f : Arithmetic::power_of_2(weight * beta_log2 - of_query.lse * kLog2OfE);
          slope = hidden ? 0.0f : weight * (slope - of_query.delta);
        }
      }
    }
    if (partial && !all_finite<kColumns, kWidth>(scores_at(place))) {
      // A row that sees such a number has a slope that is not finite, which makes its result so.
      clear_not_finite<kColumns, kWidth>(scores_at(place));
    }
    Arithmetic::template add_product<kColumns, kWidth, kOut>(slopes, scores_at(place) + offset,
                                                             of_scores);
    if constexpr (of_keys) {
      if (partial && !all_finite<kColumns, kWidth>(values_at(place))) {
        add_not_finite<kColumns, kWidth, kOut>(values_at(place) + offset, of_values, sees);
        clear_not_finite<kColumns, kWidth>(values_at(place));
      }
      Arithmetic::template add_product<kColumns, kWidth, kOut>(weights, values_at(place) + offset,
                                                               of_values);
    }
    __syncthreads();  // before this place is written again
    column = next;
  }

  const float with_beta[2] = {beta, beta};
  const std::int64_t first = row + warp_row;
  if constexpr (of_keys) {
    const float as_it_is[2] = {1.0f, 1.0f};
    write_rows<kWidth, kOut>(of_scores, with_beta, row_scores + warp_row * kRow,
                             p.dk.head<Number>(b, h) + first * p.dk.row_stride + offset,
                             p.dk.row_stride, p.M - first, D - offset, stores_wide);
    write_rows<kWidth, kOut>(of_values, as_it_is, row_values + warp_row * kRow,
                             p.dv.head<Number>(b, h) + first * p.dv.row_stride + offset,
                             p.dv.row_stride, p.M - first, Dv - offset, stores_wide);
  } else {
    if (dbeta_parts != nullptr) {
      // q_i . sum_j dS_ij k_j, of queries that see something: the others have not been loaded.
      double part = 0;
      BASIN_UNROLL
      for (int r = 0; r < 2; ++r) {
        const bool blind = of_rows[r].lse == Maximum::identity<float>();
        const Number* const query =
            row_scores + (warp_row + lane_of_warp() / 4 + 8 * r) * kRow + column_of_lane();
        BASIN_UNROLL
        for (int n = 0; n < kOut / 8; ++n) {
          BASIN_UNROLL
          for (int c = 0; c < 2; ++c) {
            part += blind ? 0.0
                          : static_cast<double>(of_scores[n][2 * r + c]) *
                                static_cast<double>(widened(query[n * 8 + c]));
          }
        }
      }
      part = block_reduce<Sum>(part);
      if (threadIdx.x == 0) {
        dbeta_parts[head * tiles + tile] = part;
      }
    }
    write_rows<kWidth, kOut>(of_scores, with_beta, row_scores + warp_row * kRow,
                             p.dq.head<Number>(b, h) + first * p.dq.row_stride, p.dq.row_stride,
                             p.L - first, D, stores_wide);
  }
}

}  // namespace

}  // namespace basin::kernels

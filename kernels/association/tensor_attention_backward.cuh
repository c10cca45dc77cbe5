// The gradients of softmax attention on tensor cores. As in softmax_attention_backward.cuh
// one kernel does both sides, a block has 64 rows of one side and passes over tiles of the other,
// and every result has one owner and one order of summation. Weights and slopes stay in registers:
// accumulators of one product are the left operand of the next.
#pragma once

#include "kernels/association/lane_sight.cuh"
#include "kernels/association/softmax_attention_backward.cuh"
#include "kernels/association/tensor_tiles.cuh"

namespace basin::kernels {

namespace {

// The keys' side has two results in registers. At width 256 they do not fit: a block then computes
// half of their columns, and another the other half with the same scores. Nor do, in f32, the list
// of a walk that gathers and two places for columns into the 163 KiB of a block on 8.0: there is
// one then, and a tile is fetched when the one before has been used.
template <class Arithmetic, int kWidth, Side kSide, class Rule>
struct TensorBackwardTile {
  using Number = typename Arithmetic::Number;
  static constexpr int kParts = kSide == Side::keys && kWidth > 128 ? 2 : 1;
  static constexpr int kOut = kWidth / kParts;
  static constexpr int kColumns = Arithmetic::template kColumns<kWidth>;
  static constexpr int kPlaces = Rule::kGathers && sizeof(Number) == 4 && kWidth > 128 ? 1 : 2;
  static constexpr int kRow = kRowOf<Number, kWidth>;
  // Two matrices of rows, and the places for two matrices of columns and what the keys' side has to
  // know of each of its queries.
  static constexpr std::size_t kBytes =
      sizeof(Number) * (2 * kTensorRows + 2 * kPlaces * kColumns) * kRow +
      sizeof(float) * 2 * kPlaces * kColumns;
};

/// What the kernel below gets beside the problem, whose lse it reads as it is there.
struct TensorGradients {
  KeySplit split;       ///< of the side of the queries; its parts of dq are f32
  const float* delta;   ///< (B,H,L)
  double* dbeta_parts;  ///< of every block of the side of the queries, or null
  float* dk_sums;       ///< of a walk that adds(): (B,H,M,sums_stride(D)) and likewise dv,
  float* dv_sums;       ///< to be rounded when all has been added up
  std::int64_t tiles;   ///< of rows, in each head
  bool wide;            ///< all that is read can be copied 16 bytes at a time
  bool stores_wide;     ///< and what is written
};

BASIN_HOST_DEVICE inline std::int64_t sums_stride(std::int64_t width) {
  return (width + 3) / 4 * 4;
}

BASIN_DEVICE inline HeadView sums_view(const AttentionBackward& p, float* sums,
                                       std::int64_t width) {
  const std::int64_t stride = sums_stride(width);
  return {sums, p.H * p.M * stride, p.M * stride, stride};
}

/// block_reduce<Sum>() of a block of four warps by way of `memory`, four numbers of the dynamic
/// shared memory that nobody else uses: at width 256 of f32 there is no room for memory of its own.
BASIN_DEVICE inline double sum_over_warps(double value, double* memory) {
  value = warp_reduce<Sum>(value);
  if (lane_of_warp() == 0) {
    memory[threadIdx.x / kWarpSize] = value;
  }
  __syncthreads();
  return (memory[0] + memory[2]) + (memory[1] + memory[3]);
}

/// Each tile of rows has split.parts blocks or, on the side of the keys, kParts of them.
template <class Arithmetic, int kWidth, Side kSide, class Rule>
BASIN_KERNEL void tensor_gradient_kernel(AttentionBackward p, Rule rule, TensorGradients to) {
  using Number = typename Arithmetic::Number;
  using Tile = TensorBackwardTile<Arithmetic, kWidth, kSide, Rule>;
  using Walk = typename Rule::template Walk<kSide, kTensorRows, Tile::kColumns, true>;
  constexpr bool of_keys = kSide == Side::keys;
  constexpr int kColumns = Tile::kColumns;
  constexpr int kPlaces = Tile::kPlaces;
  constexpr int kRow = Tile::kRow;
  constexpr int kOut = Tile::kOut;
  using Sight = LaneSight<kColumns>;
  Number* const row_scores = dynamic_shared<Number>();         // q or k: what scores are made of
  Number* const row_values = row_scores + kTensorRows * kRow;  // dout or v
  Number* const columns = row_values + kTensorRows * kRow;
  float* const statistics = reinterpret_cast<float*>(columns + 2 * kPlaces * kColumns * kRow);

  const std::int64_t shares = of_keys ? Tile::kParts : to.split.parts;
  const std::int64_t part = blockIdx.x % shares;
  const std::int64_t block = blockIdx.x / shares;
  const int offset = of_keys ? static_cast<int>(part) * kOut : 0;  // of the columns written
  const std::int64_t head = block / to.tiles;
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  const std::int64_t tile = block % to.tiles;
  const std::int64_t first = of_keys ? tile * rule.keys_of_block(kTensorRows)
                                     : (to.tiles - 1 - tile) * kTensorRows;  // long ones first
  Walk walk(rule, p, b, h, first, statistics + 2 * kPlaces * kColumns);
  if constexpr (!of_keys) {
    if (to.split.parts > 1) {
      walk.limit_columns(part * to.split.keys, (part + 1) * to.split.keys);
    }
  }

  if constexpr (of_keys) {
    if (walk.adds()) {
      const std::int64_t past = first + rule.keys_of_block(kTensorRows);
      const std::int64_t end = past < p.M ? past : p.M;
      clear_rows<float>(sums_view(p, to.dk_sums + offset, p.D), b, h, first, end,
                        p.D - offset < kOut ? p.D - offset : kOut);
      clear_rows<float>(sums_view(p, to.dv_sums + offset, p.Dv), b, h, first, end,
                        p.Dv - offset < kOut ? p.Dv - offset : kOut);
      __syncthreads();
    }
  }

  const HeadView& q = of_keys ? p.k : p.q;
  const HeadView& dout = of_keys ? p.v : p.dout;
  const HeadView& k = of_keys ? p.q : p.k;
  const HeadView& v = of_keys ? p.dout : p.v;
  const int D = static_cast<int>(p.D);
  const int Dv = static_cast<int>(p.Dv);
  const float beta = static_cast<const float*>(p.beta)[h];
  const float beta_log2 = beta * kLog2OfE;  // weights as powers of 2
  const float kept = walk.template scale<float>();
  const int warp_row = row_of_warp();
  const int lane_row = warp_row + lane_of_warp() / 4;
  QueryStatistics<float> of_rows[2] = {};
  if constexpr (!of_keys) {
    for (int r = 0; r < 2; ++r) {
      of_rows[r] = statistics_of(p, PrefixRule{}, to.delta, head, walk.row(lane_row + 8 * r));
    }
  }

  const auto scores_at = [&](int place) { return columns + place * 2 * kColumns * kRow; };
  const auto values_at = [&](int place) { return scores_at(place) + kColumns * kRow; };
  bool more = false;
  const auto load_columns = [&](int place) {
    if (more) {
      walk.template load_columns<kWidth>(scores_at(place),
                                         static_cast<const Number*>(k.head<Number>(b, h)),
                                         k.row_stride, D, to.wide);
      walk.template load_columns<kWidth>(values_at(place),
                                         static_cast<const Number*>(v.head<Number>(b, h)),
                                         v.row_stride, Dv, to.wide);
    }
    if (of_keys && more && threadIdx.x < 2 * kColumns) {
      // lse of the tile's queries, then delta; of any query where there is none.
      const std::int64_t i = walk.column(static_cast<int>(threadIdx.x) % kColumns);
      const float* const from =
          threadIdx.x < kColumns ? static_cast<const float*>(p.lse) : to.delta;
      copy_async<4>(statistics + place * 2 * kColumns + threadIdx.x,
                    from + head * p.L + (i < 0 ? 0 : i));
    }
    copy_async_commit();  // an empty group, too, so that the wait below can count
  };

  while (true) {
    if constexpr (Rule::kGathers) {
      if (!walk.next_rows()) {
        break;
      }
    }
    float of_scores[kOut / 8][4] = {};                // dq or dk
    float of_values[of_keys ? kOut / 8 : 1][4] = {};  // dv
    more = walk.advance();
    if (more) {
      walk.template load_rows<kWidth>(row_scores, static_cast<const Number*>(q.head<Number>(b, h)),
                                      q.row_stride, D, to.wide);
      walk.template load_rows<kWidth>(row_values,
                                      static_cast<const Number*>(dout.head<Number>(b, h)),
                                      dout.row_stride, Dv, to.wide);
      if constexpr (kPlaces == 2) {
        load_columns(0);
      }
    }
    for (int place = 0; more; place = (place + 1) % kPlaces) {
      if constexpr (kPlaces == 2) {
        more = walk.advance();
        load_columns(1 - place);
      } else {
        load_columns(place);
        more = walk.advance();
      }
      copy_async_wait<kPlaces - 1>();
      __syncthreads();
      float weights[kColumns / 8][4] = {};
      Arithmetic::template inner_products<kColumns, kWidth>(row_scores + warp_row * kRow,
                                                            scores_at(place), weights);
      float slopes[kColumns / 8][4] = {};
      Arithmetic::template inner_products<kColumns, kWidth>(row_values + warp_row * kRow,
                                                            values_at(place), slopes);

      const Sight sight = Sight::template of<Rule::kGathers>(walk.before());
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
            float& weight = weights[n][2 * r + c];
            float& slope = slopes[n][2 * r + c];
            const bool counted = sight.takes_part(n, c, r);
            weight = counted ? Arithmetic::power_of_2(weight * beta_log2 - of_query.lse * kLog2OfE)
                             : 0.0f;
            if constexpr (Rule::kGathers) {
              slope = sight.is_read(n, c, r) ? kept * slope : 0.0f;
            }
            slope = counted ? weight * (slope - of_query.delta) : 0.0f;
            if constexpr (of_keys && Rule::kGathers) {
              weight = sight.is_read(n, c, r) ? weight : 0.0f;
            }
          }
        }
      }
      if (sight.partial && !all_finite<kColumns, kWidth>(scores_at(place))) {
        // A row that sees such a number has a slope that is not finite, which makes its result so.
        clear_not_finite<kColumns, kWidth>(scores_at(place));
      }
      Arithmetic::template add_product<kColumns, kWidth, kOut>(slopes, scores_at(place) + offset,
                                                               of_scores);
      if constexpr (of_keys) {
        if (sight.partial && !all_finite<kColumns, kWidth>(values_at(place))) {
          const auto before = walk.before();
          add_not_finite<kColumns, kWidth, kOut>(
              values_at(place) + offset, of_values,
              [&](int r, int j) { return before.is_read(lane_row + 8 * r, j); });
          clear_not_finite<kColumns, kWidth>(values_at(place));
        }
        Arithmetic::template add_product<kColumns, kWidth, kOut>(weights, values_at(place) + offset,
                                                                 of_values);
      }
      __syncthreads();  // before this place is written again
    }

    const float with_beta[2] = {beta, beta};
    const std::int64_t row = first + warp_row;
    if constexpr (of_keys) {
      const float with_kept[2] = {kept, kept};
      if (walk.adds()) {
        float *dk[2], *dv[2];
        BASIN_UNROLL
        for (int r = 0; r < 2; ++r) {
          const std::int64_t j = walk.row(lane_row + 8 * r);
          const std::int64_t at = head * p.M + j;
          dk[r] = j < 0 ? nullptr : to.dk_sums + at * sums_stride(D) + offset;
          dv[r] = j < 0 ? nullptr : to.dv_sums + at * sums_stride(Dv) + offset;
        }
        write_sums<kOut>(of_scores, with_beta, dk, D - offset, true);
        write_sums<kOut>(of_values, with_kept, dv, Dv - offset, true);
      } else {
        write_rows<kWidth, kOut>(of_scores, with_beta, row_scores + warp_row * kRow,
                                 p.dk.head<Number>(b, h) + row * p.dk.row_stride + offset,
                                 p.dk.row_stride, p.M - row, D - offset, to.stores_wide);
        write_rows<kWidth, kOut>(of_values, with_kept, row_values + warp_row * kRow,
                                 p.dv.head<Number>(b, h) + row * p.dv.row_stride + offset,
                                 p.dv.row_stride, p.M - row, Dv - offset, to.stores_wide);
      }
    } else {
      if (to.dbeta_parts != nullptr) {
        // q_i . sum_j dS_ij k_j; the query of an empty sum may not even be loaded.
        double dbeta = 0;
        BASIN_UNROLL
        for (int r = 0; r < 2; ++r) {
          const bool blind = of_rows[r].lse == Maximum::identity<float>();
          const Number* const query = row_scores + (lane_row + 8 * r) * kRow + column_of_lane();
          BASIN_UNROLL
          for (int n = 0; n < kOut / 8; ++n) {
            BASIN_UNROLL
            for (int c = 0; c < 2; ++c) {
              const float sum = of_scores[n][2 * r + c];
              dbeta += blind || sum == 0.0f ? 0.0
                                            : static_cast<double>(sum) *
                                                  static_cast<double>(widened(query[n * 8 + c]));
            }
          }
        }
        // No query has statistics of its tile on this side.
        dbeta = sum_over_warps(dbeta, reinterpret_cast<double*>(statistics));
        if (threadIdx.x == 0) {
          to.dbeta_parts[(head * to.tiles + tile) * to.split.parts + part] = dbeta;
        }
      }
      if (to.split.parts > 1) {
        float* rows[2];
        BASIN_UNROLL
        for (int r = 0; r < 2; ++r) {
          const std::int64_t i = walk.row(lane_row + 8 * r);
          rows[r] = i < 0 ? nullptr
                          : static_cast<float*>(to.split.partial) +
                                ((head * p.L + i) * to.split.parts + part) * partial_stride(p);
        }
        write_sums<kOut>(of_scores, with_beta, rows, D, false);
      } else {
        write_rows<kWidth, kOut>(of_scores, with_beta, row_scores + warp_row * kRow,
                                 p.dq.head<Number>(b, h) + row * p.dq.row_stride, p.dq.row_stride,
                                 p.L - row, D, to.stores_wide);
      }
    }
    if constexpr (!Rule::kGathers) {
      break;
    }
    __syncthreads();  // before other rows come
  }
}

}  // namespace

}  // namespace basin::kernels

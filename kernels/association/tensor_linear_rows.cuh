// The third kernel of the scan of linear attention on tensor cores: see tensor_linear_scan.cuh.
#pragma once

#include "kernels/association/tensor_linear_scan.cuh"

namespace basin::kernels {

namespace {

/// Shared memory; without causality a tile is its rows alone.
template <int kWidth>
struct TensorLinearRows {
  using Tile = TensorLinearTile<kWidth>;
  static constexpr int kPlaces = kWidth > 64 ? 1 : 2;
  static constexpr int kStage = kRowsOfWarp * kRowOf<BFloat16, 16>;  // of a warp
  static constexpr int kFloats = 4 * kTileThreads + 5 * Tile::kRows;
  static constexpr int kWarps = kTileThreads / kWarpSize;
  static constexpr std::size_t bytes(bool causal) {
    constexpr int kOfColumns = kPlaces * (Tile::kIn + Tile::kValues) + Tile::kPairs;
    return sizeof(float) * kFloats + sizeof(int) * 2 * kWarps +
           sizeof(BFloat16) * (kWarps * kStage + kPlaces * Tile::kIn + (causal ? kOfColumns : 0));
  }
};

/// Rows and columns of a tile that take part, and which pairs of them see each other.
struct LinearTilePairs {
  int row_begin, row_end, column_begin, column_end;
  bool reversed;

  BASIN_DEVICE LinearTilePairs(const LinearHead& head, std::int64_t row, std::int64_t column,
                               bool rows_are_keys)
      : row_begin(within(-(row + head.row_shift))),
        row_end(within(head.row_end - row)),
        column_begin(within(-column)),
        column_end(within(head.column_end - column)),
        reversed(rows_are_keys) {}

  BASIN_DEVICE bool visible(int down, int across) const {
    return (reversed ? across >= down : across <= down) && across >= column_begin &&
           across < column_end && down >= row_begin && down < row_end;
  }

 private:
  BASIN_DEVICE static int within(std::int64_t at) {
    return at < 0 ? 0 : (at < kTensorRows ? static_cast<int>(at) : kTensorRows);
  }
};

/// sums[t] += pairs w for the warp's 16 columns of w and the 16 rows of each t, of which the first
/// is row `first` of the block's. Pairs above the diagonal (below, if `reversed`) are 0.
template <int kWidth, int kRowTiles>
BASIN_DEVICE void add_pairs(const BFloat16* pairs, const BFloat16* w, int first, bool reversed,
                            float (&sums)[kRowTiles][2][4]) {
  using Tile = TensorLinearTile<kWidth>;
  const int matrix = lane_of_warp() / 8;
  const int row = lane_of_warp() % 8;
  const BFloat16* const left_row =
      pairs + (first + matrix % 2 * 8 + row) * Tile::kPairRow + matrix / 2 * 8;
  const BFloat16* const right_row = w + (matrix % 2 * 8 + row) * Tile::kValueRow + matrix / 2 * 8;
  for (int j = 0; j < Tile::kRows; j += 16) {
    std::uint32_t right[4];
    load_matrices<true>(right, right_row + j * Tile::kValueRow);
    const std::uint32_t low[2] = {right[0], right[1]};
    const std::uint32_t high[2] = {right[2], right[3]};
    BASIN_UNROLL
    for (int t = 0; t < kRowTiles; ++t) {
      const int down = first + t * 16;
      if (reversed ? j < down : j > down) {
        continue;
      }
      std::uint32_t left[4];
      load_matrices(left, left_row + t * 16 * Tile::kPairRow + j);
      multiply_16x8x16<BFloat16>(sums[t][0], left, low);
      multiply_16x8x16<BFloat16>(sums[t][1], left, high);
    }
  }
}

/// The same for a w with numbers that are not finite, which a weight of 0 would not hide: pair by
/// pair, and only those that see each other.
template <int kWidth, int kRowTiles>
BASIN_DEVICE void add_visible_pairs(const BFloat16* pairs, const BFloat16* w, int first,
                                    const LinearTilePairs& tile, float (&sums)[kRowTiles][2][4]) {
  using Tile = TensorLinearTile<kWidth>;
  BASIN_UNROLL
  for (int t = 0; t < kRowTiles; ++t) {
    for (int j = 0; j < Tile::kRows; ++j) {
      BASIN_UNROLL
      for (int r = 0; r < 2; ++r) {
        const int down = first + t * 16 + lane_of_warp() / 4 + 8 * r;
        if (!tile.visible(down, j)) {
          continue;
        }
        const float weight = to_float(pairs[down * Tile::kPairRow + j]);
        BASIN_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int column = i / 2 * 8 + column_of_lane() + i % 2;
          sums[t][i / 2][2 * r + i % 2] += weight * to_float(w[j * Tile::kValueRow + column]);
        }
      }
    }
  }
}

/// The lane's quarter of a . z, where z are column sums that have been published.
template <int kWidth>
BASIN_DEVICE float product_with_sums(const BFloat16* a, const float* parts) {
  float sum = 0;
  for (int d = lane_of_warp() % 4 * 8; d < kWidth; d += 32) {
    const Pack<BFloat16, 8> numbers = load_pack<8>(a + d);
    BASIN_UNROLL
    for (int half = 0; half < 2; ++half) {
      const Pack<float, 4> z = ColumnSums<kWidth>::template totals<4>(parts, d + half * 4);
      BASIN_UNROLL
      for (int i = 0; i < 4; ++i) {
        sum += to_float(numbers.at[half * 4 + i]) * z.at[i];
      }
    }
  }
  return sum;
}

/// phi'(x) of two neighbours, of which `there` exist.
BASIN_DEVICE inline Pack<float, 2> half_slopes(const BFloat16* x, int there, bool wide) {
  Pack<BFloat16, 2> two{};
  if (wide && there >= 2) {
    two = load_pack<2>(x);
  } else {
    BASIN_UNROLL
    for (int c = 0; c < 2; ++c) {
      two.at[c] = c < there ? x[c] : BFloat16{0};
    }
  }
  Pack<float, 2> slopes;
  BASIN_UNROLL
  for (int c = 0; c < 2; ++c) {
    const float number = to_float(two.at[c]);
    slopes.at[c] = number > 0.0f ? 1.0f : power_of_2(number * kLog2OfE);
  }
  return slopes;
}

/// A block for a segment of rows of a slice. `kExtended`: with alpha or gamma. These are passes
/// whose sums nearly cancel: dout.(v - out) of a query that sees one key is 0. The state is then
/// multiplied with twice the bits.
template <int kWidth, bool kExtended>
BASIN_KERNEL void tensor_linear_rows_kernel(LinearPass p, LinearCut cut, LinearWide wide,
                                            const float* states) {
  using Tile = TensorLinearTile<kWidth>;
  using Plan = TensorLinearRows<kWidth>;
  constexpr int kPlaces = Plan::kPlaces;
  constexpr int kWarps = Plan::kWarps;
  constexpr int kRowTiles = Tile::kRows / 16 / Tile::kGroups;
  float* const parts_b = dynamic_shared<float>();
  float* const parts_w = parts_b + 2 * kTileThreads;
  float* const alpha = parts_w + 2 * kTileThreads;
  float* const gammas = alpha + Tile::kRows;
  float* const norms = gammas + 2 * Tile::kRows;
  int* const strange = reinterpret_cast<int*>(norms + 2 * Tile::kRows);
  BFloat16* const stage =
      reinterpret_cast<BFloat16*>(strange + 2 * kWarps) + warp_of_block() * Plan::kStage;
  BFloat16* const a_tiles = stage + (kWarps - warp_of_block()) * Plan::kStage;
  BFloat16* const b_tiles = a_tiles + kPlaces * Tile::kIn;
  BFloat16* const w_tiles = b_tiles + kPlaces * Tile::kIn;
  BFloat16* const pairs = w_tiles + kPlaces * Tile::kValues;

  const std::int64_t segment = blockIdx.x % cut.row_segments;
  const std::int64_t part = blockIdx.x / cut.row_segments;
  const LinearHead head(p, part / cut.slices);
  const std::int64_t slice = part % cut.slices * Tile::kSlice;
  const LinearOperand a(p.a, p.take_a, wide.a, p, head, head.row_end, 0, p.inner);
  const LinearOperand b(p.b, p.take_b, wide.b, p, head, head.column_end, 0, p.inner);
  const LinearOperand w(p.w, p.take_w, wide.w, p, head, head.column_end, slice, p.width);
  const bool normalised = p.written_n != nullptr;
  const bool divided = normalised || p.row_n != nullptr;

  const std::int64_t line = p.causal ? p.M - cut.start : p.rows();
  const std::int64_t left = (line + Tile::kRows - 1) / Tile::kRows - segment * cut.tiles;
  const std::int64_t steps = left < cut.tiles ? left : cut.tiles;
  const auto position_of = [&](std::int64_t step) {
    const std::int64_t tile = p.causal && p.rows_are_keys ? steps - 1 - step : step;
    return cut.start + (segment * cut.tiles + tile) * Tile::kRows;
  };
  const auto load_rows_of = [&](std::int64_t step) {
    if (step < steps) {
      a.load<kWidth>(a_tiles + step % kPlaces * Tile::kIn, position_of(step) - head.row_shift);
    }
    copy_async_commit();
  };
  const auto load_columns_of = [&](std::int64_t step) {
    if (p.causal && step < steps) {
      const std::int64_t column = position_of(step) - head.column_shift;
      b.load<kWidth>(b_tiles + step % kPlaces * Tile::kIn, column);
      w.load<Tile::kSlice>(w_tiles + step % kPlaces * Tile::kValues, column);
    }
    copy_async_commit();
  };

  load_rows_of(0);
  load_columns_of(0);
  const float* const from =
      states + (part * (cut.segments + 1) + (p.causal ? segment : cut.segments)) * Tile::kState;
  TensorLinearState<kWidth, 1> state(0);
  state.load(from);
  ColumnSums<kWidth> sum_b;
  sum_b.load(from + Tile::kMatrix);
  sum_b.publish(parts_b);
  ColumnSums<Tile::kSlice> sum_w;
  sum_w.load(from + Tile::kMatrix + kWidth);
  sum_w.publish(parts_w);

  const int lane = lane_of_warp();
  const int first_row = warp_of_block() / Tile::kWarps * kRowTiles * 16;  // of y
  const int first_column = TensorLinearState<kWidth, 1>::first_column();
  const int own_row = row_of_warp() + lane / 4;  // of the weights of pairs
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::int64_t row = position_of(step) - head.row_shift;
    const std::int64_t column = position_of(step) - head.column_shift;
    const LinearTilePairs tile(head, row, column, p.rows_are_keys);
    BFloat16* const a_tile = a_tiles + step % kPlaces * Tile::kIn;
    BFloat16* const b_tile = b_tiles + step % kPlaces * Tile::kIn;
    BFloat16* const w_tile = w_tiles + step % kPlaces * Tile::kValues;
    float* const gamma = gammas + step % 2 * Tile::kRows;
    int* const strange_here = strange + step % 2 * kWarps;
    copy_async_wait<0>();
    if (!wide.a || !wide.b || !wide.w) {
      __syncthreads();
    }
    if (a.features()) {
      a.prepare<kWidth>(a_tile, row);
    }
    if constexpr (kExtended) {
      take_half_extra(alpha, p.alpha, p, head, row, head.row_end);
    }
    if (p.causal) {
      if (b.features()) {
        b.prepare<kWidth>(b_tile, column);
      }
      const bool finite = w.prepare<Tile::kSlice>(w_tile, column);
      const int any = __any_sync(kAllLanes, finite ? 0 : 1);
      if (lane == 0) {
        strange_here[warp_of_block()] = any;
      }
      if constexpr (kExtended) {
        take_half_extra(gamma, p.gamma, p, head, column, head.column_end);
      }
    }
    __syncthreads();  // all of this tile is there, and the one before has been used
    if constexpr (kPlaces == 2) {
      load_rows_of(step + 1);
      load_columns_of(step + 1);
    }

    float sums[kRowTiles][2][4] = {};
    state.template multiply<kExtended>(a_tile + first_row * Tile::kRow, sums);
    if constexpr (kExtended) {
      BASIN_UNROLL
      for (int n = 0; n < 2; ++n) {
        const Pack<float, 2> z = ColumnSums<Tile::kSlice>::template totals<2>(
            parts_w, first_column + n * 8 + column_of_lane());
        BASIN_UNROLL
        for (int t = 0; t < kRowTiles; ++t) {
          BASIN_UNROLL
          for (int i = 0; i < 4; ++i) {
            sums[t][n][i] += alpha[first_row + t * 16 + lane / 4 + i / 2 * 8] * z.at[i % 2];
          }
        }
      }
    }
    float weight[2] = {};  // this lane's part of the sum of weights
    if (normalised) {
      BASIN_UNROLL
      for (int r = 0; r < 2; ++r) {
        weight[r] = product_with_sums<kWidth>(a_tile + (own_row + 8 * r) * Tile::kRow, parts_b);
      }
    }
    if (p.causal) {
      float scores[Tile::kRows / 8][4] = {};
      Bf16Arithmetic::inner_products<Tile::kRows, kWidth>(a_tile + row_of_warp() * Tile::kRow,
                                                          b_tile, scores);
      BASIN_UNROLL
      for (int r = 0; r < 2; ++r) {
        const int down = own_row + 8 * r;
        const float of_row = kExtended ? alpha[down] : 0.0f;
        BASIN_UNROLL
        for (int n = 0; n < Tile::kRows / 8; ++n) {
          float score[2];
          BASIN_UNROLL
          for (int c = 0; c < 2; ++c) {
            const int across = n * 8 + column_of_lane() + c;
            const float extra = kExtended ? of_row * gamma[across] : 0.0f;
            score[c] = tile.visible(down, across) ? scores[n][2 * r + c] + extra : 0.0f;
            weight[r] += score[c];
          }
          store_pack<2>(pairs + down * Tile::kPairRow + n * 8 + column_of_lane(),
                        to_two_bfloat16(score[0], score[1]));
        }
      }
    }
    const std::int64_t rows = p.rows();
    if (normalised) {
      BASIN_UNROLL
      for (int r = 0; r < 2; ++r) {
        const std::int64_t i = row + own_row + 8 * r;
        const float n = over_four<Sum>(weight[r]) + static_cast<float>(p.eps);
        if (lane % 4 == 0) {
          norms[own_row + 8 * r] = n;
        }
        if (lane % 4 == 0 && slice == 0 && i >= 0 && i < rows) {
          static_cast<float*>(p.written_n)[head.at * p.L + i] =
              head.sees(i) ? n : static_cast<float>(p.eps);
        }
      }
    } else if (p.row_n != nullptr && static_cast<int>(threadIdx.x) < Tile::kRows) {
      const std::int64_t i = row + static_cast<int>(threadIdx.x);
      norms[threadIdx.x] =
          i >= 0 && i < rows ? static_cast<const float*>(p.row_n)[head.at * p.L + i] : 1.0f;
    }
    __syncthreads();  // pairs and norms are there, the rows have been used
    if constexpr (kPlaces == 1) {
      load_rows_of(step + 1);
    }
    if (p.causal) {
      const BFloat16* const values = w_tile + first_column;
      bool finite = true;
      BASIN_UNROLL
      for (int warp = 0; warp < kWarps; ++warp) {
        finite = finite && strange_here[warp] == 0;
      }
      if (finite) {
        add_pairs<kWidth>(pairs, values, first_row, p.rows_are_keys, sums);
      } else {
        add_visible_pairs<kWidth>(pairs, values, first_row, tile, sums);
      }
    }

    BFloat16* const y = p.y.head<BFloat16>(head.b, head.h) + slice + first_column;
    const BFloat16* const x =
        p.x.data == nullptr ? nullptr : p.x.head<BFloat16>(head.b, head.h) + slice + first_column;
    const int width = static_cast<int>(p.width - slice) - first_column;
    BASIN_UNROLL
    for (int t = 0; t < kRowTiles; ++t) {
      float scale[2];
      BASIN_UNROLL
      for (int r = 0; r < 2; ++r) {
        const int down = first_row + t * 16 + lane / 4 + 8 * r;
        const std::int64_t i = row + down;
        scale[r] = divided ? 1.0f / norms[down] : 1.0f;
        const bool sees = i >= 0 && head.sees(i);
        BASIN_UNROLL
        for (int n = 0; n < 2; ++n) {
          const int e = n * 8 + column_of_lane();
          Pack<float, 2> slopes{{1.0f, 1.0f}};
          if (x != nullptr && sees) {
            slopes = half_slopes(x + i * p.x.row_stride + e, width - e, wide.x);
          }
          BASIN_UNROLL
          for (int c = 0; c < 2; ++c) {
            float& sum = sums[t][n][2 * r + c];
            sum = sees ? sum * slopes.at[c] : 0.0f;
          }
        }
        scale[r] = sees ? scale[r] : 1.0f;
      }
      const std::int64_t i = row + first_row + t * 16;
      write_rows<16, 16>(sums[t], scale, stage, y + i * p.y.row_stride, p.y.row_stride, rows - i,
                         width, wide.y, -i);
    }

    if (p.causal && step + 1 < steps) {
      state.add(b_tile, w_tile);
      if (normalised) {
        sum_b.add(b_tile, nullptr);
        sum_b.publish(parts_b);
      }
      if constexpr (kExtended) {
        sum_w.add(w_tile, gamma);
        sum_w.publish(parts_w);
      }
    }
    if constexpr (kPlaces == 1) {
      __syncthreads();  // the columns have been used
      load_columns_of(step + 1);
    }
  }
}

}  // namespace

}  // namespace basin::kernels

// Products of small matrices in bf16 on tensor cores, the part that the attention kernels share: a
// block of four warps, each with 16 rows of the left matrix. Tiles lie in shared memory as
// load_tile() (tiles.cuh) leaves them; sums are f32 accumulators of mma.sync, of which a lane has
// the rows lane / 4 and lane / 4 + 8 and, of each 8 columns, two neighbours (fragments.h).
#pragma once

#include <cstdint>

#include "kernels/association/tiles.cuh"
#include "kernels/common/ptx_matrix.cuh"

namespace basin::kernels {

namespace {

constexpr float kLog2OfE = 1.44269504088896341f;
constexpr float kLnOf2 = 0.693147180559945309f;
constexpr int kRowsOfWarp = 16;
constexpr int kTensorRows = kRowsOfWarp * kTileThreads / kWarpSize;  // of a block

BASIN_DEVICE inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % kWarpSize; }
/// The warp's first row of the block's.
BASIN_DEVICE inline int row_of_warp() {
  return static_cast<int>(threadIdx.x) / kWarpSize * kRowsOfWarp;
}
/// The first column of the lane's two of each 8.
BASIN_DEVICE inline int column_of_lane() { return 2 * (lane_of_warp() % 4); }

BASIN_DEVICE inline bool is_finite(BFloat16 number) { return (number.bits & 0x7F80) != 0x7F80; }

/// The maximum or sum over the four lanes that hold a row of an accumulator.
template <class Op>
BASIN_DEVICE float over_four(float value) {
  value = Op::of(value, __shfl_xor_sync(kAllLanes, value, 1));
  return Op::of(value, __shfl_xor_sync(kAllLanes, value, 2));
}

/// sums[n] += rows . columns^T for the warp's 16 rows and the columns 8 n ... 8 n + 7, over the
/// kWidth numbers of a row. `rows` is the warp's first one.
template <int kColumns, int kWidth>
BASIN_DEVICE void tensor_inner_products(const BFloat16* rows, const BFloat16* columns,
                                        float (&sums)[kColumns / 8][4]) {
  constexpr int kRow = kRowOf<BFloat16, kWidth>;
  const int matrix = lane_of_warp() / 8;
  const int row = lane_of_warp() % 8;
  const BFloat16* const left_row = rows + (matrix % 2 * 8 + row) * kRow + matrix / 2 * 8;
  const BFloat16* const right_row = columns + (matrix / 2 * 8 + row) * kRow + matrix % 2 * 8;
  BASIN_UNROLL
  for (int d = 0; d < kWidth; d += M16N8K16::kK) {
    std::uint32_t left[4];
    load_matrices(left, left_row + d);
    BASIN_UNROLL
    for (int n = 0; n < kColumns / 8; n += 2) {
      std::uint32_t right[4];
      load_matrices(right, right_row + n * 8 * kRow + d);
      const std::uint32_t first[2] = {right[0], right[1]};
      const std::uint32_t second[2] = {right[2], right[3]};
      multiply_16x8x16<BFloat16>(sums[n], left, first);
      multiply_16x8x16<BFloat16>(sums[n + 1], left, second);
    }
  }
}

/// sums += weights . values for the warp's 16 rows: `weights` are accumulators of tensor_inner
/// products, rounded to bf16 here; `values` has kInner rows of kWidth numbers, of which kOut from
/// the first one on take part.
template <int kInner, int kWidth, int kOut>
BASIN_DEVICE void tensor_add_product(const float (&weights)[kInner / 8][4], const BFloat16* values,
                                     float (&sums)[kOut / 8][4]) {
  constexpr int kRow = kRowOf<BFloat16, kWidth>;
  const int matrix = lane_of_warp() / 8;
  const int row = lane_of_warp() % 8;
  const BFloat16* const right_row = values + (matrix % 2 * 8 + row) * kRow + matrix / 2 * 8;
  BASIN_UNROLL
  for (int j = 0; j < kInner / 16; ++j) {
    const float(&low)[4] = weights[2 * j];
    const float(&high)[4] = weights[2 * j + 1];
    const std::uint32_t left[4] = {pack_bfloat16(low[0], low[1]), pack_bfloat16(low[2], low[3]),
                                   pack_bfloat16(high[0], high[1]),
                                   pack_bfloat16(high[2], high[3])};
    BASIN_UNROLL
    for (int n = 0; n < kOut / 8; n += 2) {
      std::uint32_t right[4];
      load_matrices<true>(right, right_row + j * 16 * kRow + n * 8);
      const std::uint32_t first[2] = {right[0], right[1]};
      const std::uint32_t second[2] = {right[2], right[3]};
      multiply_16x8x16<BFloat16>(sums[n], left, first);
      multiply_16x8x16<BFloat16>(sums[n + 1], left, second);
    }
  }
}

/// Whether every number of a tile is finite; the same answer in all warps.
template <int kRows, int kWidth>
BASIN_DEVICE bool all_finite(const BFloat16* tile) {
  constexpr int kChunks = kWidth / 8;
  bool finite = true;
  for (int at = lane_of_warp(); at < kRows * kChunks; at += kWarpSize) {
    const Pack<BFloat16, 8> numbers =
        load_pack<8>(tile + at / kChunks * kRowOf<BFloat16, kWidth> + at % kChunks * 8);
    BASIN_UNROLL
    for (int i = 0; i < 8; ++i) {
      finite = finite && is_finite(numbers.at[i]);
    }
  }
  return __any_sync(kAllLanes, finite ? 0 : 1) == 0;
}

/// A weight of 0 times NaN is NaN, so a product may not meet a number that is not finite and hidden
/// from some of the rows. Sets such numbers of a tile to 0. All threads of the block call it, when
/// all have read the tile for the last time as it is; they may read it at once.
template <int kRows, int kWidth>
BASIN_DEVICE void clear_not_finite(BFloat16* tile) {
  constexpr int kRow = kRowOf<BFloat16, kWidth>;
  __syncthreads();
  for (int at = static_cast<int>(threadIdx.x); at < kRows * kWidth; at += kTileThreads) {
    BFloat16& number = tile[at / kWidth * kRow + at % kWidth];
    number = is_finite(number) ? number : BFloat16{0};
  }
  __syncthreads();
}

/// Adds the numbers of a tile that are not finite to the rows of `sums` (kOut columns, the first of
/// which is `tile`'s first) that see them: `sees(r, j)` for row r = 0 or 1 of the lane and row j of
/// the tile. With a weight of at least 0 this is what the product would do to them.
template <int kRows, int kWidth, int kOut, class Sees>
BASIN_DEVICE void add_not_finite(const BFloat16* tile, float (&sums)[kOut / 8][4], Sees sees) {
  for (int j = 0; j < kRows; ++j) {
    const bool seen[2] = {sees(0, j), sees(1, j)};
    BASIN_UNROLL
    for (int n = 0; n < kOut / 8; ++n) {
      BASIN_UNROLL
      for (int c = 0; c < 2; ++c) {
        const BFloat16 number = tile[j * kRowOf<BFloat16, kWidth> + n * 8 + column_of_lane() + c];
        if (!is_finite(number)) {
          sums[n][c] += seen[0] ? to_float(number) : 0.0f;
          sums[n][2 + c] += seen[1] ? to_float(number) : 0.0f;
        }
      }
    }
  }
}

/// The warp's rows of `sums` times `scale`, rounded, from `to` on: `rows` of them (it may be
/// negative) and `width` columns. They go by way of `stage`, 16 rows of a tile kWidth wide that
/// only this warp uses, so that a row is written in pieces of 16 bytes where `wide` says that it
/// can be.
template <int kWidth, int kOut>
BASIN_DEVICE void write_rows(const float (&sums)[kOut / 8][4], const float (&scale)[2],
                             BFloat16* stage, BFloat16* to, std::int64_t row_stride,
                             std::int64_t rows, int width, bool wide) {
  constexpr int kRow = kRowOf<BFloat16, kWidth>;
  const int lane = lane_of_warp();
  __syncwarp();
  BASIN_UNROLL
  for (int n = 0; n < kOut / 8; ++n) {
    BASIN_UNROLL
    for (int r = 0; r < 2; ++r) {
      Pack<BFloat16, 2> pair;
      pair.at[0] = to_bfloat16(sums[n][2 * r] * scale[r]);
      pair.at[1] = to_bfloat16(sums[n][2 * r + 1] * scale[r]);
      store_pack<2>(stage + (lane / 4 + 8 * r) * kRow + n * 8 + column_of_lane(), pair);
    }
  }
  __syncwarp();
  constexpr int kChunks = kOut / 8;
  for (int at = lane; at < kRowsOfWarp * kChunks; at += kWarpSize) {
    const int row = at / kChunks;
    const int column = at % kChunks * 8;
    const BFloat16* const from = stage + row * kRow + column;
    BFloat16* const target = to + row * row_stride + column;
    if (row < rows && wide && column + 8 <= width) {
      store_pack<8>(target, load_pack<8>(from));
    } else if (row < rows) {
      for (int i = 0; i < 8 && column + i < width; ++i) {
        target[i] = from[i];
      }
    }
  }
}

}  // namespace

}  // namespace basin::kernels

// Tiles of attention on tensor cores: a block of four warps, each with 16 rows of the left matrix
// of every product. Tiles lie in shared memory as load_tile() (tiles.cuh) leaves them; sums are f32
// accumulators of mma.sync, of which a lane has the rows lane / 4 and lane / 4 + 8 and, of each 8
// columns, two neighbours (fragments.h).
//
// How numbers are multiplied is an arithmetic, another class for each (tensor_bf16.cuh). It has
//   Number             what the arrays hold
//   kKeys<W>, kColumns<W>  a good tile of the other side for rows W wide: forward, backward
//   inner_products()   sums[n] += rows . columns^T for the warp's 16 rows and the columns 8 n ...
//                      8 n + 7, over the kWidth numbers of a row; `rows` is the warp's first one
//   add_product()      sums += weights . values for the warp's 16 rows: `weights` are accumulators
//                      of inner products; `values` has kInner rows of kWidth numbers, of which kOut
//                      from the first one on take part
//   multiplied()       a number of an array as a product takes it
//   power_of_2()       as exact as its products
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/association/tiles.cuh"
#include "kernels/common/half.h"

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
BASIN_DEVICE inline bool is_finite(float number) {
  return (std::bit_cast<std::uint32_t>(number) & 0x7F800000u) != 0x7F800000u;
}

BASIN_DEVICE inline float widened(BFloat16 number) { return to_float(number); }
BASIN_DEVICE inline float widened(float number) { return number; }

/// Numbers that move in one access of 16 bytes.
template <class T>
constexpr int kChunkOf = pack_width(sizeof(T));

/// The maximum or sum over the four lanes that hold a row of an accumulator.
template <class Op>
BASIN_DEVICE float over_four(float value) {
  value = Op::of(value, __shfl_xor_sync(kAllLanes, value, 1));
  return Op::of(value, __shfl_xor_sync(kAllLanes, value, 2));
}

/// Whether every number of a tile is finite; the same answer in all warps.
template <int kRows, int kWidth, class T>
BASIN_DEVICE bool all_finite(const T* tile) {
  constexpr int kChunk = kChunkOf<T>;
  constexpr int kChunks = kWidth / kChunk;
  bool finite = true;
  for (int at = lane_of_warp(); at < kRows * kChunks; at += kWarpSize) {
    const Pack<T, kChunk> numbers =
        load_pack<kChunk>(tile + at / kChunks * kRowOf<T, kWidth> + at % kChunks * kChunk);
    BASIN_UNROLL
    for (int i = 0; i < kChunk; ++i) {
      finite = finite && is_finite(numbers.at[i]);
    }
  }
  return __any_sync(kAllLanes, finite ? 0 : 1) == 0;
}

/// A weight of 0 times NaN is NaN, so a product may not meet a number that is not finite and hidden
/// from some of the rows. Sets such numbers of a tile to 0. All threads of the block call it, when
/// all have read the tile for the last time as it is; they may read it at once.
template <int kRows, int kWidth, class T>
BASIN_DEVICE void clear_not_finite(T* tile) {
  constexpr int kRow = kRowOf<T, kWidth>;
  __syncthreads();
  for (int at = static_cast<int>(threadIdx.x); at < kRows * kWidth; at += kTileThreads) {
    T& number = tile[at / kWidth * kRow + at % kWidth];
    number = is_finite(number) ? number : T{};
  }
  __syncthreads();
}

/// Adds the numbers of a tile that are not finite to the rows of `sums` (kOut columns, the first of
/// which is `tile`'s first) that see them: `sees(r, j)` for row r = 0 or 1 of the lane and row j of
/// the tile. With a weight of at least 0 this is what the product would do to them.
template <int kRows, int kWidth, int kOut, class T, class Sees>
BASIN_DEVICE void add_not_finite(const T* tile, float (&sums)[kOut / 8][4], Sees sees) {
  for (int j = 0; j < kRows; ++j) {
    const bool seen[2] = {sees(0, j), sees(1, j)};
    BASIN_UNROLL
    for (int n = 0; n < kOut / 8; ++n) {
      BASIN_UNROLL
      for (int c = 0; c < 2; ++c) {
        const T number = tile[j * kRowOf<T, kWidth> + n * 8 + column_of_lane() + c];
        if (!is_finite(number)) {
          sums[n][c] += seen[0] ? widened(number) : 0.0f;
          sums[n][2 + c] += seen[1] ? widened(number) : 0.0f;
        }
      }
    }
  }
}

/// The lane's numbers of `sums` times `scale` as f32 into its two rows, or added to what is there:
/// `rows` are their first numbers, at multiples of 8 bytes, or null; `width` columns.
template <int kOut>
BASIN_DEVICE void write_sums(const float (&sums)[kOut / 8][4], const float (&scale)[2],
                             float* const (&rows)[2], int width, bool adds) {
  BASIN_UNROLL
  for (int r = 0; r < 2; ++r) {
    BASIN_UNROLL
    for (int n = 0; n < kOut / 8; ++n) {
      const int column = n * 8 + column_of_lane();
      if (rows[r] == nullptr || column >= width) {
        continue;
      }
      float numbers[2] = {};
      if (adds) {
        load_run(rows[r] + column, width - column, numbers);
      }
      numbers[0] += sums[n][2 * r] * scale[r];
      numbers[1] += sums[n][2 * r + 1] * scale[r];
      store_run(rows[r] + column, width - column, numbers);
    }
  }
}

/// The warp's rows of `sums` times `scale`, rounded, from `to` on: those from `first` on and below
/// `rows` (it may be negative), and `width` columns. They go by way of `stage`, 16 rows of a tile
/// kWidth wide that only this warp uses, so that a row is written in pieces of 16 bytes where
/// `wide` says that it can be.
template <int kWidth, int kOut, class T>
BASIN_DEVICE void write_rows(const float (&sums)[kOut / 8][4], const float (&scale)[2], T* stage,
                             T* to, std::int64_t row_stride, std::int64_t rows, int width,
                             bool wide, std::int64_t first = 0) {
  constexpr int kRow = kRowOf<T, kWidth>;
  constexpr int kChunk = kChunkOf<T>;
  const int lane = lane_of_warp();
  __syncwarp();
  BASIN_UNROLL
  for (int n = 0; n < kOut / 8; ++n) {
    BASIN_UNROLL
    for (int r = 0; r < 2; ++r) {
      Pack<T, 2> pair;
      pair.at[0] = stored_as<T>(sums[n][2 * r] * scale[r]);
      pair.at[1] = stored_as<T>(sums[n][2 * r + 1] * scale[r]);
      store_pack<2>(stage + (lane / 4 + 8 * r) * kRow + n * 8 + column_of_lane(), pair);
    }
  }
  __syncwarp();
  constexpr int kChunks = kOut / kChunk;
  for (int at = lane; at < kRowsOfWarp * kChunks; at += kWarpSize) {
    const int row = at / kChunks;
    const int column = at % kChunks * kChunk;
    const T* const from = stage + row * kRow + column;
    T* const target = to + row * row_stride + column;
    const bool there = row >= first && row < rows;
    if (there && wide && column + kChunk <= width) {
      store_pack<kChunk>(target, load_pack<kChunk>(from));
    } else if (there) {
      for (int i = 0; i < kChunk && column + i < width; ++i) {
        target[i] = from[i];
      }
    }
  }
}

}  // namespace

}  // namespace basin::kernels

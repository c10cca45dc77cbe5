// The state of linear attention on tensor cores: what the kernels of tensor_linear_scan.cuh keep
// from tile to tile.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/association/tensor_bf16.cuh"

namespace basin::kernels {

namespace {

/// Rows of a tile and columns of a slice of w. A warp has 16 of a slice's columns; where a slice
/// has 32, the warps are two groups, and each has half of the rows of y.
template <int kWidth>
struct TensorLinearTile {
  static constexpr int kRows = kTensorRows;
  static constexpr int kSlice = kWidth > 32 ? 64 : 32;
  static constexpr int kWarps = kSlice / 16;  // side by side
  static constexpr int kGroups = kTileThreads / kWarpSize / kWarps;
  static constexpr int kRow = kRowOf<BFloat16, kWidth>;
  static constexpr int kValueRow = kRowOf<BFloat16, kSlice>;
  static constexpr int kPairRow = kRowOf<BFloat16, kRows>;
  static constexpr int kIn = kRows * kRow;
  static constexpr int kValues = kRows * kValueRow;
  static constexpr int kPairs = kRows * kPairRow;
  /// Numbers of a state in memory: the matrix, sum of b_c, sum of gamma_c w_c.
  static constexpr int kMatrix = kWidth * kSlice;
  static constexpr int kState = kMatrix + kWidth + kSlice;
};

BASIN_DEVICE inline int warp_of_block() { return static_cast<int>(threadIdx.x) / kWarpSize; }

BASIN_DEVICE inline Pack<BFloat16, 2> to_two_bfloat16(float low, float high) {
  return std::bit_cast<Pack<BFloat16, 2>>(pack_bfloat16(low, high));
}

/// What two packed bf16 leave of the numbers that they were rounded from.
BASIN_DEVICE inline std::uint32_t pack_rest(float low, float high, std::uint32_t rounded) {
  return pack_bfloat16(low - std::bit_cast<float>(rounded << 16),
                       high - std::bit_cast<float>(rounded & 0xFFFF0000u));
}

/// The matrix S = sum of b_c w_c^T in f32, or 1 / kParts of its rows (of d), for one warp's 16
/// columns (of e). It is held as accumulators of S^T = sum of w_c b_c^T: the numbers of a lane are
/// then those that it needs when S is the right operand of a S, so S stays in registers.
template <int kWidth, int kParts>
class TensorLinearState {
 public:
  using Tile = TensorLinearTile<kWidth>;
  static constexpr int kTiles = kWidth / 8 / kParts;

  /// `part`: which of the kParts.
  BASIN_DEVICE explicit TensorLinearState(int part) : first_(part * kTiles) {}

  BASIN_DEVICE void load(const float* from) {
    BASIN_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      const Pack<float, 4> four = load_pack<4>(from + place(n));
      BASIN_UNROLL
      for (int i = 0; i < 4; ++i) {
        numbers_[n][i] = four.at[i];
      }
    }
  }

  BASIN_DEVICE void store(float* to) const {
    BASIN_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      Pack<float, 4> four;
      BASIN_UNROLL
      for (int i = 0; i < 4; ++i) {
        four.at[i] = numbers_[n][i];
      }
      store_pack<4>(to + place(n), four);
    }
  }

  /// Adds the columns of a tile: rows of b, kWidth wide, and of w, a slice wide.
  BASIN_DEVICE void add(const BFloat16* b, const BFloat16* w) {
    const int matrix = lane_of_warp() / 8;
    const int row = lane_of_warp() % 8;
    const BFloat16* const left_row =
        w + (matrix / 2 * 8 + row) * Tile::kValueRow + first_column() + matrix % 2 * 8;
    const BFloat16* const right_row =
        b + (matrix % 2 * 8 + row) * Tile::kRow + first_ * 8 + matrix / 2 * 8;
    for (int j = 0; j < Tile::kRows; j += M16N8K16::kK) {
      std::uint32_t left[4];
      load_matrices<true>(left, left_row + j * Tile::kValueRow);
      BASIN_UNROLL
      for (int n = 0; n < kTiles; n += 2) {
        std::uint32_t right[4];
        load_matrices<true>(right, right_row + j * Tile::kRow + n * 8);
        const std::uint32_t first[2] = {right[0], right[1]};
        const std::uint32_t second[2] = {right[2], right[3]};
        multiply_16x8x16<BFloat16>(numbers_[n], left, first);
        multiply_16x8x16<BFloat16>(numbers_[n + 1], left, second);
      }
    }
  }

  /// sums[t] += a S for rows 16 t ... 16 t + 15 of `a`. With kSplit S is taken as the sum of two
  /// bf16, else it is rounded to one.
  template <bool kSplit, int kRowTiles>
  BASIN_DEVICE void multiply(const BFloat16* a, float (&sums)[kRowTiles][2][4]) const {
    static_assert(kParts == 1);
    const int matrix = lane_of_warp() / 8;
    const int row = lane_of_warp() % 8;
    const BFloat16* const left_row = a + (matrix % 2 * 8 + row) * Tile::kRow + matrix / 2 * 8;
    BASIN_UNROLL
    for (int n = 0; n < kTiles; n += 2) {
      std::uint32_t whole[2][2];
      std::uint32_t rest[2][2];
      BASIN_UNROLL
      for (int e = 0; e < 2; ++e) {
        BASIN_UNROLL
        for (int k = 0; k < 2; ++k) {
          const float low = numbers_[n + k][2 * e];
          const float high = numbers_[n + k][2 * e + 1];
          whole[e][k] = pack_bfloat16(low, high);
          rest[e][k] = kSplit ? pack_rest(low, high, whole[e][k]) : 0;
        }
      }
      BASIN_UNROLL
      for (int t = 0; t < kRowTiles; ++t) {
        std::uint32_t left[4];
        load_matrices(left, left_row + t * 16 * Tile::kRow + n * 8);
        BASIN_UNROLL
        for (int e = 0; e < 2; ++e) {
          multiply_16x8x16<BFloat16>(sums[t][e], left, whole[e]);
          if constexpr (kSplit) {
            multiply_16x8x16<BFloat16>(sums[t][e], left, rest[e]);
          }
        }
      }
    }
  }

  /// Of the slice, the first of the warp's 16.
  BASIN_DEVICE static int first_column() { return warp_of_block() % Tile::kWarps * 16; }

 private:
  BASIN_DEVICE int place(int n) const {
    constexpr int kLanes = Tile::kWarps * kWarpSize;
    return ((first_ + n) * kLanes + warp_of_block() % Tile::kWarps * kWarpSize + lane_of_warp()) *
           4;
  }

  int first_;
  float numbers_[kTiles][4] = {};
};

/// Sums over the rows of tiles for each of kColumns columns, in f32. A thread has two neighbours in
/// every kGroups-th row; publish() puts its part where all can read it.
template <int kColumns>
class ColumnSums {
 public:
  static constexpr int kPairs = kColumns / 2;
  static constexpr int kGroups = kTileThreads / kPairs;

  /// Adds kTensorRows rows, each times its weight, or as they are.
  BASIN_DEVICE void add(const BFloat16* tile, const float* weights) {
    for (int j = static_cast<int>(threadIdx.x) / kPairs; j < kTensorRows; j += kGroups) {
      const Pack<BFloat16, 2> two =
          load_pack<2>(tile + j * kRowOf<BFloat16, kColumns> + pair() * 2);
      const float weight = weights == nullptr ? 1.0f : weights[j];
      mine_[0] += weight * to_float(two.at[0]);
      mine_[1] += weight * to_float(two.at[1]);
    }
  }

  BASIN_DEVICE void load(const float* from) {
    const bool first = static_cast<int>(threadIdx.x) < kPairs;
    mine_[0] = first ? from[pair() * 2] : 0.0f;
    mine_[1] = first ? from[pair() * 2 + 1] : 0.0f;
  }

  /// `parts`: 2 kTileThreads numbers.
  BASIN_DEVICE void publish(float* parts) const {
    parts[2 * threadIdx.x] = mine_[0];
    parts[2 * threadIdx.x + 1] = mine_[1];
  }

  /// The sums of kCount neighbouring columns from what all have published.
  template <int kCount>
  BASIN_DEVICE static Pack<float, kCount> totals(const float* parts, int column) {
    Pack<float, kCount> sums = load_pack<kCount>(parts + column);
    BASIN_UNROLL
    for (int group = 1; group < kGroups; ++group) {
      const Pack<float, kCount> more = load_pack<kCount>(parts + group * kColumns + column);
      BASIN_UNROLL
      for (int c = 0; c < kCount; ++c) {
        sums.at[c] += more.at[c];
      }
    }
    return sums;
  }

 private:
  BASIN_DEVICE static int pair() { return static_cast<int>(threadIdx.x) % kPairs; }

  float mine_[2] = {};
};

}  // namespace

}  // namespace basin::kernels

// The arithmetic of bf16 on tensor cores (tensor_tiles.cuh): arrays in bf16, and weights rounded to
// it before they meet the values.
#pragma once

#include <cstdint>

#include "kernels/association/tensor_tiles.cuh"
#include "kernels/common/ptx_matrix.cuh"

namespace basin::kernels {

namespace {

struct Bf16Arithmetic {
  using Number = BFloat16;
  // Two blocks on a multiprocessor of 8.0.
  template <int kWidth>
  static constexpr int kKeys = kWidth > 128 ? 32 : 64;
  template <int kWidth>
  static constexpr int kColumns = kWidth > 64 ? 32 : 64;

  BASIN_DEVICE static float multiplied(float number) { return number; }
  BASIN_DEVICE static float power_of_2(float x) { return kernels::power_of_2(x); }

  template <int kColumns, int kWidth>
  BASIN_DEVICE static void inner_products(const Number* rows, const Number* columns,
                                          float (&sums)[kColumns / 8][4]) {
    constexpr int kRow = kRowOf<Number, kWidth>;
    const int matrix = lane_of_warp() / 8;
    const int row = lane_of_warp() % 8;
    const Number* const left_row = rows + (matrix % 2 * 8 + row) * kRow + matrix / 2 * 8;
    const Number* const right_row = columns + (matrix / 2 * 8 + row) * kRow + matrix % 2 * 8;
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

  template <int kInner, int kWidth, int kOut>
  BASIN_DEVICE static void add_product(const float (&weights)[kInner / 8][4], const Number* values,
                                       float (&sums)[kOut / 8][4]) {
    constexpr int kRow = kRowOf<Number, kWidth>;
    const int matrix = lane_of_warp() / 8;
    const int row = lane_of_warp() % 8;
    const Number* const right_row = values + (matrix % 2 * 8 + row) * kRow + matrix / 2 * 8;
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
};

}  // namespace

}  // namespace basin::kernels

// The arithmetics of arrays in f32 on tensor cores (tensor_tiles.cuh). Those multiply tf32, which
// has 11 of the 24 significant bits. Tf32Arithmetic rounds every factor to that.
// SplitTf32Arithmetic takes a factor as the sum of two numbers of tf32, high and low, and makes
// three products of it, low high + high low + high high, which are f32 but for the last bit (H.
// Ootomo, R. Yokota 2022). With bf16 a factor has three parts and six products, at twice the rate:
// the same time for the same bits, but three arrays in shared memory instead of one, as ldmatrix
// moves finished parts.
//
// When a tensor core adds to its accumulators, it cuts off instead of rounding, and sums over many
// keys drift. So the split products start from 0 every 16 numbers, and what they give is added up
// by the f32 adder, as they do.
//
// A number beyond 2^127 or so, which rounds to infinity, becomes NaN when it is split, and so does
// infinity; NaN stays NaN.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/association/tensor_tiles.cuh"
#include "kernels/common/ptx_matrix.cuh"

namespace basin::kernels {

namespace {

template <bool kSplit>
struct FloatArithmetic {
  using Number = float;
  // As many as leave room for a second block on a multiprocessor of 8.0, or for one.
  template <int kWidth>
  static constexpr int kKeys = kWidth > 64 ? 16 : (kWidth > 32 ? 32 : 64);
  template <int kWidth>
  static constexpr int kColumns = kWidth > 128 ? 8 : (kWidth > 64 ? 16 : 32);

  BASIN_DEVICE static float multiplied(float number) {
    return kSplit ? number : std::bit_cast<float>(to_tf32(number));
  }
  BASIN_DEVICE static float power_of_2(float x) {
    return kSplit ? std::exp2(x) : kernels::power_of_2(x);
  }

  /// Numbers as they are multiplied.
  template <int kCount>
  struct Factors {
    std::uint32_t high[kCount];
    std::uint32_t low[kSplit ? kCount : 1];

    // To the nearest: half a unit more, as a product does not look at the bits below the unit. They
    // may stay, also in the low part: it has 12 bits, so cutting one off is as good as rounding it.
    BASIN_DEVICE void set(int i, float number) {
      const auto bits = std::bit_cast<std::uint32_t>(number);
      if constexpr (kSplit) {
        high[i] = (bits + 0x1000u) & ~0x1FFFu;
        low[i] = std::bit_cast<std::uint32_t>(number - std::bit_cast<float>(high[i]));
      } else {
        high[i] = number == number ? bits + 0x1000u : bits;
      }
    }
  };

  // sums[i] += left . right[i] for kBlocks blocks of 8 columns, kSteps x 8 deep.
  template <int kBlocks, int kSteps>
  BASIN_DEVICE static void multiply(float (*sums)[4], const Factors<4> (&left)[kSteps],
                                    const Factors<2> (&right)[kBlocks][kSteps]) {
    float parts[kBlocks][4];
    BASIN_UNROLL
    for (int i = 0; i < kBlocks; ++i) {
      BASIN_UNROLL
      for (int e = 0; e < 4; ++e) {
        parts[i][e] = kSplit ? 0.0f : sums[i][e];
      }
    }
    BASIN_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      if constexpr (kSplit) {
        BASIN_UNROLL
        for (int i = 0; i < kBlocks; ++i) {
          multiply_16x8x8_tf32(parts[i], left[s].low, right[i][s].high);
        }
        BASIN_UNROLL
        for (int i = 0; i < kBlocks; ++i) {
          multiply_16x8x8_tf32(parts[i], left[s].high, right[i][s].low);
        }
      }
      BASIN_UNROLL
      for (int i = 0; i < kBlocks; ++i) {
        multiply_16x8x8_tf32(parts[i], left[s].high, right[i][s].high);
      }
    }
    BASIN_UNROLL
    for (int i = 0; i < kBlocks; ++i) {
      BASIN_UNROLL
      for (int e = 0; e < 4; ++e) {
        sums[i][e] = kSplit ? sums[i][e] + parts[i][e] : parts[i][e];
      }
    }
  }

  // To ldmatrix four numbers are eight halves, and a lane gets what it needs of tf32.
  template <int kColumns, int kWidth>
  BASIN_DEVICE static void inner_products(const float* rows, const float* columns,
                                          float (&sums)[kColumns / 8][4]) {
    constexpr int kRow = kRowOf<float, kWidth>;
    constexpr int kBlocks = kColumns % 16 == 0 ? 2 : 1;
    const int matrix = lane_of_warp() / 8;
    const int row = lane_of_warp() % 8;
    const float* const left_row = rows + (matrix % 2 * 8 + row) * kRow + matrix / 2 * 4;
    const float* const right_row = columns + row * kRow + matrix * 4;
    const auto add_at = [&](int d) {
      Factors<4> left[2];
      BASIN_UNROLL
      for (int s = 0; s < 2; ++s) {
        std::uint32_t numbers[4];
        load_matrices(numbers, left_row + d + s * 8);
        BASIN_UNROLL
        for (int e = 0; e < 4; ++e) {
          left[s].set(e, std::bit_cast<float>(numbers[e]));
        }
      }
      BASIN_UNROLL
      for (int n = 0; n < kColumns / 8; n += kBlocks) {
        Factors<2> right[kBlocks][2];
        BASIN_UNROLL
        for (int i = 0; i < kBlocks; ++i) {
          std::uint32_t numbers[4];
          load_matrices(numbers, right_row + (n + i) * 8 * kRow + d);
          BASIN_UNROLL
          for (int e = 0; e < 4; ++e) {
            right[i][e / 2].set(e % 2, std::bit_cast<float>(numbers[e]));
          }
        }
        multiply<kBlocks, 2>(sums + n, left, right);
      }
    };
    // Both parts of the factors of several passes do not fit into the registers: a loop that stays.
    if constexpr (kSplit) {
#ifdef __CUDACC__
#pragma unroll 1
#endif
      for (int d = 0; d < kWidth; d += 16) {
        add_at(d);
      }
    } else {
      BASIN_UNROLL
      for (int d = 0; d < kWidth; d += 16) {
        add_at(d);
      }
    }
  }

  // Of 8 neighbouring weights of a row a lane has numbers 2 t and 2 t + 1, t = lane % 4, where the
  // left operand wants t and t + 4. A sum does not mind the order: the values are taken in the
  // same.
  template <int kInner, int kWidth, int kOut>
  BASIN_DEVICE static void add_product(const float (&weights)[kInner / 8][4], const float* values,
                                       float (&sums)[kOut / 8][4]) {
    constexpr int kRow = kRowOf<float, kWidth>;
    constexpr int kSteps = kInner % 16 == 0 ? 2 : 1;
    constexpr int kBlocks = 2;
    const float* const right_row = values + lane_of_warp() % 4 * 2 * kRow + lane_of_warp() / 4;
    BASIN_UNROLL
    for (int j = 0; j < kInner / 8; j += kSteps) {
      Factors<4> left[kSteps];
      BASIN_UNROLL
      for (int s = 0; s < kSteps; ++s) {
        BASIN_UNROLL
        for (int e = 0; e < 4; ++e) {
          left[s].set(e, weights[j + s][e / 2 + e % 2 * 2]);
        }
      }
      BASIN_UNROLL
      for (int n = 0; n < kOut / 8; n += kBlocks) {
        Factors<2> right[kBlocks][kSteps];
        BASIN_UNROLL
        for (int i = 0; i < kBlocks; ++i) {
          BASIN_UNROLL
          for (int s = 0; s < kSteps; ++s) {
            BASIN_UNROLL
            for (int e = 0; e < 2; ++e) {
              right[i][s].set(e, right_row[((j + s) * 8 + e) * kRow + (n + i) * 8]);
            }
          }
        }
        multiply<kBlocks, kSteps>(sums + n, left, right);
      }
    }
  }
};

using Tf32Arithmetic = FloatArithmetic<false>;
using SplitTf32Arithmetic = FloatArithmetic<true>;

}  // namespace

}  // namespace basin::kernels

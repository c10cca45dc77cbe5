// What tensor-core instructions must do, written with loops, for whichever device runs the probes
// of matrix_kernels.h.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/common/half.h"
#include "kernels/common/philox.h"
#include "tests/simt/matrix_kernels.h"

namespace basin::kernels {

/// Runs probes whose pointers are to memory of the CPU.
struct MatrixRunner {
  std::function<Status(const LoadProbe&)> load;
  std::function<Status(const ProductProbe&)> product;
  std::function<Status(const Tf32Probe&)> tf32;
};

/// Each row of a matrix goes to four lanes, in pairs of elements; transposed, each column does.
inline void expect_pairs(const MatrixRunner& run) {
  alignas(16) std::uint16_t matrices[4 * 64];
  for (int i = 0; i < 256; ++i) {
    matrices[i] = static_cast<std::uint16_t>(1000 + i);
  }
  for (const int count : {1, 2, 4}) {
    for (const bool transposed : {false, true}) {
      std::vector<std::uint32_t> registers(static_cast<std::size_t>(32 * count));
      const Status status = run.load({matrices, registers.data(), count, transposed});
      ASSERT_TRUE(status.ok()) << status.message;
      for (int i = 0; i < 64 * count; ++i) {
        const int row = i / 8 % 8;
        const int column = i % 8;
        const int line = transposed ? column : row;
        const int along = transposed ? row : column;
        const auto at = static_cast<std::size_t>((line * 4 + along / 2) * count + i / 64);
        EXPECT_EQ(registers[at] >> (along % 2 * 16) & 0xFFFFu, matrices[i])
            << count << " matrices" << (transposed ? ", transposed, " : ", ") << i / 64 << ": row "
            << row << " column " << column;
      }
    }
  }
}

inline int depth_of(Product kind) { return kind == Product::tf32 ? 8 : 16; }
inline constexpr Product kProducts[] = {Product::bf16, Product::f16, Product::tf32};

/// A matrix as the kernel takes it, beside the values it then has. For tf32, the lower bits must be
/// 0.
struct ProbeMatrix {
  alignas(16) std::uint32_t words[16 * 16];
  double values[16 * 16];

  void set(int i, float value, Product kind) {
    auto* const halves = reinterpret_cast<std::uint16_t*>(words);
    switch (kind) {
      case Product::bf16:
        halves[i] = to_bfloat16(value).bits;
        values[i] = static_cast<double>(to_float(BFloat16{halves[i]}));
        break;
      case Product::f16:
        halves[i] = to_float16(value).bits;
        values[i] = static_cast<double>(to_float(Float16{halves[i]}));
        break;
      case Product::tf32:
        words[i] = std::bit_cast<std::uint32_t>(value) & ~0x1FFFu;
        values[i] = static_cast<double>(std::bit_cast<float>(words[i]));
        break;
    }
  }
};

/// Fills A, B and C by `number` and compares with three loops: |error| <= tolerance.
template <class Number>
void expect_product(const MatrixRunner& run, Product kind, double tolerance, Number number) {
  const int depth = depth_of(kind);
  ProbeMatrix a;
  ProbeMatrix b;
  float c[16 * 8];
  std::uint64_t next = 0;
  for (int i = 0; i < 16 * depth; ++i) {
    a.set(i, number(next++), kind);
  }
  for (int i = 0; i < depth * 8; ++i) {
    b.set(i, number(next++), kind);
  }
  for (float& value : c) {
    value = number(next++);
  }
  float expected[16 * 8];
  for (int i = 0; i < 16 * 8; ++i) {
    double sum = static_cast<double>(c[i]);
    for (int k = 0; k < depth; ++k) {
      sum += a.values[i / 8 * depth + k] * b.values[k * 8 + i % 8];
    }
    expected[i] = static_cast<float>(sum);
  }
  const Status status = run.product({a.words, b.words, c, kind});
  ASSERT_TRUE(status.ok()) << status.message;
  for (int i = 0; i < 16 * 8; ++i) {
    EXPECT_NEAR(static_cast<double>(c[i]), static_cast<double>(expected[i]), tolerance)
        << "kind " << static_cast<int>(kind) << " row " << i / 8 << " column " << i % 8;
  }
}

/// Whole numbers: every sum is exact in f32.
inline void expect_exact_products(const MatrixRunner& run) {
  for (const Product kind : kProducts) {
    expect_product(run, kind, 0, [](std::uint64_t i) {
      return static_cast<float>(static_cast<int>(philox_word(3, 0, i) % 33) - 16);
    });
  }
}

/// Numbers in [-0.5, 0.5).
inline void expect_products(const MatrixRunner& run, double tolerance) {
  for (const Product kind : kProducts) {
    expect_product(run, kind, tolerance,
                   [](std::uint64_t i) { return uniform_from_word(philox_word(4, 0, i)) - 0.5f; });
  }
}

inline void expect_nan_and_infinity(const MatrixRunner& run) {
  for (const Product kind : kProducts) {
    const int depth = depth_of(kind);
    ProbeMatrix a;
    ProbeMatrix b;
    float c[16 * 8] = {};
    for (int i = 0; i < 16 * depth; ++i) {
      a.set(i, 1, kind);
    }
    for (int i = 0; i < depth * 8; ++i) {
      b.set(i, 1, kind);
    }
    a.set(2 * depth + 1, std::numeric_limits<float>::infinity(), kind);
    a.set(5 * depth + 3, std::numeric_limits<float>::quiet_NaN(), kind);
    const Status status = run.product({a.words, b.words, c, kind});
    ASSERT_TRUE(status.ok()) << status.message;
    for (int column = 0; column < 8; ++column) {
      EXPECT_EQ(c[column], static_cast<float>(depth));
      EXPECT_TRUE(std::isinf(c[2 * 8 + column]));
      EXPECT_TRUE(std::isnan(c[5 * 8 + column]));
    }
  }
}

/// A product of tf32 does not look at the lower 13 bits of its operands.
inline void expect_lower_bits_ignored(const MatrixRunner& run) {
  ProbeMatrix a = {};
  ProbeMatrix b = {};
  float c[16 * 8] = {};
  a.words[0] = std::bit_cast<std::uint32_t>(1.0f) | 0x1FFFu;
  b.words[0] = std::bit_cast<std::uint32_t>(-2.0f) | 0x1FFFu;
  const Status status = run.product({a.words, b.words, c, Product::tf32});
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(c[0], -2.0f);
}

/// to_tf32 keeps ten bits of the fraction, ties away from zero.
inline void expect_tf32(const MatrixRunner& run) {
  const float unit = std::ldexp(1.0f, -10);
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {1,
                                1 + unit * 0.49f,
                                1 + unit * 0.5f,
                                -1 - unit * 0.5f,
                                1 + unit * 1.5f,
                                infinity,
                                -infinity,
                                std::numeric_limits<float>::max(),
                                0,
                                std::numeric_limits<float>::quiet_NaN()};
  const std::vector<float> expected = {1,        1,         1 + unit, -1 - unit, 1 + unit * 2,
                                       infinity, -infinity, infinity, 0};
  std::vector<std::uint32_t> y(x.size());
  const Status status = run.tf32({x.data(), y.data(), static_cast<int>(x.size())});
  ASSERT_TRUE(status.ok()) << status.message;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(std::bit_cast<float>(y[i]), expected[i]) << i;
  }
  EXPECT_TRUE(std::isnan(std::bit_cast<float>(y.back())));
}

}  // namespace basin::kernels

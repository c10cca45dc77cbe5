// ldmatrix and mma against the PTX manual's words, written with loops.
#include "tests/simt/matrix_kernels.h"

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/common/philox.h"
#include "kernels/common/ptx_matrix.cuh"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

// "For i < 2 and 4 <= i < 6 the row is groupID, else groupID + 8; the column is
// threadID_in_group * 2 + (i & 1), from i = 4 on plus 8."
TEST(Fragments, AreThoseOfTheManual) {
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2;
    const int in_group = lane & 3;
    for (int i = 0; i < 8; ++i) {
      const bool upper = i < 2 || (4 <= i && i < 6);
      const MatrixPlace a{upper ? group : group + 8, in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
      EXPECT_EQ(M16N8K16::a(lane, i), a);
    }
    for (int i = 0; i < 4; ++i) {
      const MatrixPlace b{in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0), group};
      const MatrixPlace c{i < 2 ? group : group + 8, in_group * 2 + (i & 1)};
      const MatrixPlace of_tf32{i == 0 || i == 2 ? group : group + 8,
                                i < 2 ? in_group : in_group + 4};
      EXPECT_EQ(M16N8K16::b(lane, i), b);
      EXPECT_EQ(M16N8K16::c(lane, i), c);
      EXPECT_EQ(M16N8K8::c(lane, i), c);
      EXPECT_EQ(M16N8K8::a(lane, i), of_tf32);
    }
    EXPECT_EQ(M16N8K8::b(lane, 0), (MatrixPlace{in_group, group}));
    EXPECT_EQ(M16N8K8::b(lane, 1), (MatrixPlace{in_group + 4, group}));
  }
}

// Each row of a matrix goes to four lanes, in pairs of elements; transposed, each column does.
TEST(LoadMatrices, GivesEachLaneItsPair) {
  alignas(16) std::uint16_t matrices[4 * 64];
  for (int i = 0; i < 256; ++i) {
    matrices[i] = static_cast<std::uint16_t>(1000 + i);
  }
  for (const int count : {1, 2, 4}) {
    for (const bool transposed : {false, true}) {
      for (const SimtContext& context : all_orders()) {
        SCOPED_TRACE(order_name(context));
        std::vector<std::uint32_t> registers(static_cast<std::size_t>(32 * count));
        const Status status = probe_load({matrices, registers.data(), count, transposed}, context);
        ASSERT_TRUE(status.ok()) << status.message;
        for (int m = 0; m < count; ++m) {
          for (int row = 0; row < 8; ++row) {
            for (int column = 0; column < 8; ++column) {
              const int line = transposed ? column : row;
              const int along = transposed ? row : column;
              const auto lane = static_cast<std::size_t>(line * 4 + along / 2);
              const std::uint32_t got =
                  registers[lane * static_cast<std::size_t>(count) + static_cast<std::size_t>(m)];
              EXPECT_EQ(got >> (along % 2 * 16) & 0xFFFFu, matrices[m * 64 + row * 8 + column])
                  << count << " " << transposed << " " << m << " " << row << " " << column;
            }
          }
        }
      }
    }
  }
}

int depth_of(Product kind) { return kind == Product::tf32 ? 8 : 16; }

// A matrix as the kernel takes it, beside the values it then has.
struct Matrix {
  alignas(16) std::uint32_t words[16 * 16];
  double values[16 * 16];
};

void set(Matrix& m, int i, float value, Product kind) {
  auto* const halves = reinterpret_cast<std::uint16_t*>(m.words);
  switch (kind) {
    case Product::bf16:
      halves[i] = to_bfloat16(value).bits;
      m.values[i] = static_cast<double>(to_float(BFloat16{halves[i]}));
      break;
    case Product::f16:
      halves[i] = to_float16(value).bits;
      m.values[i] = static_cast<double>(to_float(Float16{halves[i]}));
      break;
    case Product::tf32:
      m.words[i] = to_tf32(value);
      m.values[i] = static_cast<double>(std::bit_cast<float>(m.words[i]));
      break;
  }
}

// Fills A, B and C by `number` and compares with three loops, rounded once.
template <class Number>
void expect_product(Product kind, const SimtContext& context, Number number) {
  const int depth = depth_of(kind);
  Matrix a;
  Matrix b;
  float c[16 * 8];
  std::uint64_t next = 0;
  for (int i = 0; i < 16 * depth; ++i) {
    set(a, i, number(next++), kind);
  }
  for (int i = 0; i < depth * 8; ++i) {
    set(b, i, number(next++), kind);
  }
  for (float& value : c) {
    value = number(next++);
  }
  float expected[16 * 8];
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      double sum = static_cast<double>(c[row * 8 + column]);
      for (int k = 0; k < depth; ++k) {
        sum += a.values[row * depth + k] * b.values[k * 8 + column];
      }
      expected[row * 8 + column] = static_cast<float>(sum);
    }
  }
  const Status status = probe_product({a.words, b.words, c, kind}, context);
  ASSERT_TRUE(status.ok()) << status.message;
  for (int i = 0; i < 16 * 8; ++i) {
    EXPECT_EQ(c[i], expected[i]) << "kind " << static_cast<int>(kind) << " row " << i / 8
                                 << " column " << i % 8;
  }
}

TEST(Multiply, IsExactOnWholeNumbers) {
  for (const Product kind : {Product::bf16, Product::f16, Product::tf32}) {
    for (const SimtContext& context : all_orders()) {
      SCOPED_TRACE(order_name(context));
      expect_product(kind, context, [](std::uint64_t i) {
        return static_cast<float>(static_cast<int>(philox_word(3, 0, i) % 33) - 16);
      });
    }
  }
}

TEST(Multiply, RoundsOnce) {
  for (const Product kind : {Product::bf16, Product::f16, Product::tf32}) {
    expect_product(kind, {},
                   [](std::uint64_t i) { return uniform_from_word(philox_word(4, 0, i)) - 0.5f; });
  }
}

TEST(Multiply, KeepsNanAndInfinity) {
  for (const Product kind : {Product::bf16, Product::f16, Product::tf32}) {
    const int depth = depth_of(kind);
    Matrix a;
    Matrix b;
    float c[16 * 8] = {};
    for (int i = 0; i < 16 * depth; ++i) {
      set(a, i, 1, kind);
    }
    for (int i = 0; i < depth * 8; ++i) {
      set(b, i, 1, kind);
    }
    set(a, 2 * depth + 1, std::numeric_limits<float>::infinity(), kind);
    set(a, 5 * depth + 3, std::numeric_limits<float>::quiet_NaN(), kind);
    ASSERT_TRUE(probe_product({a.words, b.words, c, kind}, SimtContext{}).ok());
    for (int column = 0; column < 8; ++column) {
      EXPECT_EQ(c[column], static_cast<float>(depth));
      EXPECT_TRUE(std::isinf(c[2 * 8 + column]));
      EXPECT_TRUE(std::isnan(c[5 * 8 + column]));
    }
  }
}

TEST(Multiply, IgnoresTheLowerBitsOfTf32) {
  Matrix a = {};
  Matrix b = {};
  float c[16 * 8] = {};
  a.words[0] = std::bit_cast<std::uint32_t>(1.0f) | 0x1FFFu;
  b.words[0] = std::bit_cast<std::uint32_t>(-2.0f) | 0x1FFFu;
  ASSERT_TRUE(probe_product({a.words, b.words, c, Product::tf32}, SimtContext{}).ok());
  EXPECT_EQ(c[0], -2.0f);
}

TEST(ToTf32, RoundsToTenBitsTiesAwayFromZero) {
  const float one = 1.0f;
  const float unit = std::ldexp(1.0f, -10);
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {one,
                                one + unit * 0.49f,
                                one + unit * 0.5f,
                                -one - unit * 0.5f,
                                one + unit * 1.5f,
                                infinity,
                                -infinity,
                                std::numeric_limits<float>::max(),
                                0.0f};
  const std::vector<float> expected = {one,      one,       one + unit, -one - unit, one + unit * 2,
                                       infinity, -infinity, infinity,   0.0f};
  std::vector<std::uint32_t> y(x.size());
  ASSERT_TRUE(probe_tf32({x.data(), y.data(), static_cast<int>(x.size())}, SimtContext{}).ok());
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(std::bit_cast<float>(y[i]), expected[i]) << i;
  }
  EXPECT_TRUE(std::isnan(std::bit_cast<float>(to_tf32(std::numeric_limits<float>::quiet_NaN()))));
}

enum class Mistake { none, global, misaligned, divergent, counts };

void faulty_load(Mistake mistake, const std::uint16_t* global) {
  std::uint16_t* const tile = shared<std::uint16_t, 512>();
  const std::uint16_t* row = tile + threadIdx.x % 32 * 8;
  std::uint32_t one[1];
  std::uint32_t four[4];
  if (mistake == Mistake::global && threadIdx.x == 3) {
    row = global;
  }
  if (mistake == Mistake::misaligned && threadIdx.x == 9) {
    row += 4;
  }
  if (mistake == Mistake::divergent && threadIdx.x >= 16) {
    load_matrices(four, row);
  } else if (mistake == Mistake::counts && threadIdx.x >= 16) {
    load_matrices(one, row);
  } else {
    load_matrices(four, row);
  }
}

TEST(MatrixFault, IsNamed) {
  alignas(16) const std::uint16_t global[8] = {};
  run_block(32, {}, faulty_load, Mistake::none, &global[0]);
  expect_fault({"ldmatrix", "the row of thread (3,0,0) must lie in shared memory"}, 32, {},
               faulty_load, Mistake::global, &global[0]);
  expect_fault({"ldmatrix", "thread (9,0,0)", "a multiple of 16 bytes"}, 32, {}, faulty_load,
               Mistake::misaligned, &global[0]);
  expect_fault({"ldmatrix is divergent", "thread (16,0,0)"}, 32, {}, faulty_load,
               Mistake::divergent, &global[0]);
  expect_fault({"ldmatrix is divergent"}, 32, {}, faulty_load, Mistake::counts, &global[0]);
  expect_fault({"its warp has only 16 threads"}, 16, {}, faulty_load, Mistake::none, &global[0]);
}

}  // namespace
}  // namespace basin::kernels

// Elementwise kernels for CUDA beyond the table: the bits of the CPU for every pair of dtypes, at
// every alignment, with empty and overlapping arrays.
#include <array>
#include <cmath>
#include <limits>

#include "kernels/elementwise/elementwise.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr DType kAll[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                          DType::i32, DType::i64, DType::u8,   DType::boolean};

using Bytes = std::vector<unsigned char>;

// `count` numbers of `dtype` with what a format has at its edges, as far as integers can take it.
Bytes numbers_of(DType dtype, std::int64_t count, bool non_negative) {
  auto values = uniform_numbers<double>(count, 7, non_negative ? 0 : -100, 100);
  if (is_floating(dtype) && !non_negative) {
    values[0] = std::numeric_limits<double>::quiet_NaN();
    values[1] = std::numeric_limits<double>::infinity();
    values[2] = -0.0;
    values[3] = 65519.999;               // rounds to 65504 in f16
    values[4] = 65520.0;                 // and this one to infinity
    values[5] = 3e-6;                    // subnormal in f16
    values[6] = 1e-40;                   // subnormal in f32 and bf16
    values[7] = 1.0 + 0x1p-8 + 0x1p-40;  // just above a tie of bf16
  }
  Bytes bytes(static_cast<std::size_t>(count) * size_of(dtype));
  Copy p{values.data(), bytes.data(), 1, {count}, {1}, {1}, DType::f64, dtype};
  const TestContext cpu;
  EXPECT_TRUE(copy(p, cpu.get()).ok());
  return bytes;
}

TEST(CopyOnSimt, HasTheBitsOfTheCpuForEveryPairOfDtypes) {
  const TestContext cpu;
  constexpr std::int64_t kRows = 5;
  constexpr std::int64_t kColumns = 24;  // whole packs of any two dtypes
  for (const DType from : kAll) {
    for (const DType to : kAll) {
      SCOPED_TRACE(std::string(name_of(from)) + " to " + name_of(to));
      // A number that an integer cannot hold has no defined result.
      const Bytes x = numbers_of(from, kRows * kColumns, !is_floating(to));
      for (const bool transposed : {false, true}) {
        Copy p{};
        p.x = x.data();
        p.rank = 2;
        p.extents[0] = kRows;
        p.extents[1] = kColumns;
        p.x_strides[0] = transposed ? 1 : kColumns;
        p.x_strides[1] = transposed ? kRows : 1;
        p.y_strides[0] = kColumns;
        p.y_strides[1] = 1;
        p.x_dtype = from;
        p.y_dtype = to;
        Bytes expected(static_cast<std::size_t>(kRows * kColumns) * size_of(to), 0xAB);
        Bytes found = expected;
        p.y = expected.data();
        ASSERT_TRUE(copy(p, cpu.get()).ok());
        p.y = found.data();
        ASSERT_TRUE(copy(p, SimtContext{}).ok());
        EXPECT_TRUE(same_bits(found, expected)) << "transposed: " << transposed;
      }
    }
  }
}

TEST(CopyOnSimt, ReadsAndWritesAtAnyElement) {
  const auto x = uniform_numbers<float>(64, 3);
  for (std::int64_t first = 0; first < 5; ++first) {
    for (std::int64_t count = 0; count < 19; ++count) {
      std::vector<float> y(40, 9);
      Copy p{x.data() + first, y.data() + 4 - first, 1, {count}, {1}, {1}, DType::f32, DType::f32};
      ASSERT_TRUE(copy(p, SimtContext{}).ok());
      for (std::int64_t i = 0; i < 40; ++i) {
        const std::int64_t at = i - (4 - first);
        const bool inside = at >= 0 && at < count;
        ASSERT_EQ(y[static_cast<std::size_t>(i)],
                  inside ? x[static_cast<std::size_t>(first + at)] : 9.0f)
            << first << " " << count << " " << i;
      }
    }
  }
}

TEST(CopyOnSimt, MovesSixteenBytesAThreadWhereItCan) {
  const std::vector<float> x(4096, 1);
  std::vector<float> y(4097);
  LaunchCounts counts;
  SimtContext context;
  context.counts = &counts;
  Copy p{x.data(), y.data(), 1, {4096}, {1}, {1}, DType::f32, DType::f32};
  ASSERT_TRUE(copy(p, context).ok());
  EXPECT_EQ(counts.threads, 1024);
  p.y = y.data() + 1;
  ASSERT_TRUE(copy(p, context).ok());
  EXPECT_EQ(counts.threads, 1024 + 4096);
}

TEST(FillOnSimt, HasTheBitsOfTheCpuForEveryDtypeAtAnyElement) {
  const TestContext cpu;
  for (const DType dtype : kAll) {
    SCOPED_TRACE(name_of(dtype));
    for (std::size_t first = 0; first < 3; ++first) {
      Bytes expected(100 * size_of(dtype), 0xAB);
      Bytes found = expected;
      const auto problem = [&](Bytes& bytes) {
        return Fill{bytes.data() + first * size_of(dtype), 77, 3.1, dtype};
      };
      ASSERT_TRUE(fill(problem(expected), cpu.get()).ok());
      ASSERT_TRUE(fill(problem(found), SimtContext{}).ok());
      EXPECT_TRUE(same_bits(found, expected)) << first;
    }
  }
}

// y may be an operand that is not broadcast, and x of a unary operation.
TEST(ElementwiseOnSimt, WorksInPlace) {
  const auto x = uniform_numbers<float>(7 * 12, 4);
  const auto row = uniform_numbers<float>(12, 5);
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    std::vector<float> y = x;
    BinaryForward p{BinaryOp::sub, row.data(), y.data(), y.data(),  2,
                    {7, 12},       {0, 1},     {12, 1},  DType::f32};
    ASSERT_TRUE(binary_forward(p, order).ok());
    ASSERT_TRUE(affine({y.data(), y.data(), 7 * 12, 2, 1, DType::f32}, order).ok());
    ASSERT_TRUE(unary_forward({UnaryOp::neg, y.data(), y.data(), 7 * 12, DType::f32}, order).ok());
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(y[i], -(2 * (row[i % 12] - x[i]) + 1)) << i;
    }
  }
}

TEST(BinaryOnSimt, LeavesOutTheGradientThatNobodyWants) {
  const auto a = uniform_numbers<float>(15, 4);
  const auto b = uniform_numbers<float>(15, 5);
  const auto dy = uniform_numbers<float>(15, 6);
  std::vector<float> da(15);
  std::vector<float> db(15);
  BinaryBackward p{BinaryOp::mul, a.data(), b.data(), dy.data(), nullptr, db.data(), 1,
                   {15},          {1},      {1},      DType::f32};
  ASSERT_TRUE(binary_backward(p, SimtContext{}).ok());
  p.da = da.data();
  p.db = nullptr;
  ASSERT_TRUE(binary_backward(p, SimtContext{}).ok());
  for (std::size_t i = 0; i < 15; ++i) {
    EXPECT_EQ(da[i], dy[i] * b[i]);
    EXPECT_EQ(db[i], dy[i] * a[i]);
  }
}

TEST(ElementwiseOnSimt, DoesNothingWhereThereIsNothing) {
  float y = 5;
  const SimtContext simt;
  EXPECT_TRUE(affine({&y, &y, 0, 2, 1, DType::f32}, simt).ok());
  EXPECT_TRUE(fill({&y, 0, 2, DType::f32}, simt).ok());
  EXPECT_TRUE(copy({&y, &y, 2, {3, 0}, {0, 1}, {0, 1}, DType::f32, DType::f32}, simt).ok());
  EXPECT_TRUE(
      binary_forward({BinaryOp::add, &y, &y, &y, 2, {0, 3}, {3, 1}, {3, 1}, DType::f32}, simt)
          .ok());
  EXPECT_EQ(y, 5);
  EXPECT_EQ(affine({&y, &y, 1, 2, 1, DType::bf16}, simt).code, Status::Code::unsupported);
  // No dimensions at all: one element.
  EXPECT_TRUE(binary_forward({BinaryOp::add, &y, &y, &y, 0, {}, {}, {}, DType::f32}, simt).ok());
  EXPECT_EQ(y, 10);
}

}  // namespace
}  // namespace basin::kernels

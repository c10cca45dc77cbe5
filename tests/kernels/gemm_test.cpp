// The matrix product on whole numbers, where every order of additions gives the same bits, and the
// corners of its contract.
#include "kernels/gemm/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

template <class T>
struct Matrices {
  std::vector<T> a, b, c;
};

// Contiguous operands of whole numbers in -3 ... 3: sums of up to 400 products stay below 2^24.
template <class T>
Matrices<T> whole_matrices(const Gemm& p, std::uint64_t seed) {
  return {whole_numbers<T>(p.batch * p.m * p.k, seed, -3, 3),
          whole_numbers<T>(p.batch * p.k * p.n, seed + 1, -3, 3),
          whole_numbers<T>(p.batch * p.m * p.n, seed + 2, -3, 3)};
}

template <class T>
void point_to(Gemm& p, Matrices<T>& data) {
  p.a = data.a.data();
  p.b = data.b.data();
  p.c = data.c.data();
  p.lda = p.transpose_a ? p.m : p.k;
  p.ldb = p.transpose_b ? p.k : p.n;
  p.ldc = p.n;
  p.a_batch_stride = p.m * p.k;
  p.b_batch_stride = p.k * p.n;
  p.c_batch_stride = p.m * p.n;
  p.dtype = dtype_of<T>;
}

template <class T>
std::vector<T> exact_product(const Gemm& p, const Matrices<T>& data) {
  std::vector<T> c = data.c;
  const auto at = [](const std::vector<T>& x, std::int64_t i) {
    return static_cast<std::int64_t>(x[static_cast<std::size_t>(i)]);
  };
  for (std::int64_t g = 0; g < p.batch; ++g) {
    for (std::int64_t i = 0; i < p.m; ++i) {
      for (std::int64_t j = 0; j < p.n; ++j) {
        std::int64_t sum = 0;
        for (std::int64_t l = 0; l < p.k; ++l) {
          sum += at(data.a, g * p.m * p.k + (p.transpose_a ? l * p.m + i : i * p.k + l)) *
                 at(data.b, g * p.k * p.n + (p.transpose_b ? j * p.k + l : l * p.n + j));
        }
        T& to = c[static_cast<std::size_t>((g * p.m + i) * p.n + j)];
        const auto old = static_cast<std::int64_t>(p.beta) * static_cast<std::int64_t>(to);
        to = static_cast<T>(static_cast<std::int64_t>(p.alpha) * sum + old);
      }
    }
  }
  return c;
}

template <class T>
class GemmOf : public testing::Test {};
using Floats = testing::Types<float, double>;
TYPED_TEST_SUITE(GemmOf, Floats);

// gemm() on a workspace of the size it asks for.
Status run(Gemm p, const CpuContext& context) {
  std::vector<std::max_align_t> memory(
      static_cast<std::size_t>(gemm_workspace(p, context)) / sizeof(std::max_align_t) + 1);
  p.workspace = memory.data();
  return gemm(p, context);
}

TYPED_TEST(GemmOf, IsExactOnWholeNumbers) {
  const TestContext context(2);
  struct Extents {
    std::int64_t m, n, k, batch;
  };
  // The last three are cut into tiles: by rows, by columns, by both.
  for (const Extents e :
       {Extents{1, 1, 1, 1}, Extents{5, 3, 7, 3}, Extents{31, 33, 15, 2}, Extents{64, 64, 64, 1},
        Extents{259, 35, 301, 1}, Extents{33, 277, 300, 1}, Extents{201, 203, 129, 2}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        Gemm p{};
        p.m = e.m;
        p.n = e.n;
        p.k = e.k;
        p.batch = e.batch;
        p.transpose_a = transpose_a;
        p.transpose_b = transpose_b;
        p.alpha = 2;
        p.beta = -1;
        const Matrices<TypeParam> start = whole_matrices<TypeParam>(p, 5);
        const std::vector<TypeParam> expected = exact_product(p, start);
        for (const int variant : {0, 1, 2, 3}) {
          Matrices<TypeParam> data = start;
          point_to(p, data);
          p.variant = variant;
          ASSERT_TRUE(run(p, context).ok());
          EXPECT_EQ(data.c, expected) << e.m << "x" << e.n << "x" << e.k << " variant " << variant;
        }
      }
    }
  }
}

TYPED_TEST(GemmOf, DoesNotReadCForBetaZero) {
  const TestContext context(2);
  for (const int variant : {0, 1, 2, 3}) {
    for (const std::int64_t k : {0, 4}) {
      Gemm p{};
      p.m = 3;
      p.n = 5;
      p.k = k;
      p.variant = variant;
      Matrices<TypeParam> data = whole_matrices<TypeParam>(p, 1);
      data.c.assign(data.c.size(), 0);
      const std::vector<TypeParam> expected = exact_product(p, data);
      data.c.assign(data.c.size(), std::numeric_limits<TypeParam>::quiet_NaN());
      point_to(p, data);
      p.lda = 4;
      ASSERT_TRUE(run(p, context).ok());
      EXPECT_EQ(data.c, expected) << "variant " << variant << ", k = " << k;
    }
  }
}

// 0 times NaN is NaN: a product that skips zeros would hide a broken input.
TYPED_TEST(GemmOf, LetsNaNThrough) {
  const TestContext context(1);
  for (const int variant : {1, 2, 3}) {
    Gemm p{};
    p.m = 2;
    p.n = 2;
    p.k = 2;
    p.variant = variant;
    Matrices<TypeParam> data = whole_matrices<TypeParam>(p, 1);
    data.a = {0, 1, 1, 0};
    data.b[0] = std::numeric_limits<TypeParam>::quiet_NaN();
    data.b[1] = 3;
    point_to(p, data);
    ASSERT_TRUE(run(p, context).ok());
    EXPECT_NE(data.c[0], data.c[0]);
    EXPECT_NE(data.c[2], data.c[2]);
    EXPECT_EQ(data.c[3], 3);
  }
}

TYPED_TEST(GemmOf, LeavesEmptyProductsAlone) {
  const TestContext context(2);
  TypeParam one = 1;
  for (const auto& [m, n, batch] : {std::array<std::int64_t, 3>{0, 1, 1}, {1, 0, 1}, {1, 1, 0}}) {
    Gemm p{};
    p.a = &one;
    p.b = &one;
    p.c = &one;
    p.m = m;
    p.n = n;
    p.k = 1;
    p.lda = 1;
    p.ldb = 1;
    p.ldc = 1;
    p.batch = batch;
    p.alpha = 5;
    p.dtype = dtype_of<TypeParam>;
    EXPECT_TRUE(run(p, context).ok());
    EXPECT_EQ(one, 1);
  }
}

// Also beyond the depth after which B is packed anew, and for rows at the end of a block.
TYPED_TEST(GemmOf, PanelsGiveARowTheSameBitsInEveryMatrix) {
  const TestContext context(2);
  for (const bool transpose_b : {false, true}) {
    Gemm p{};
    p.m = 29;
    p.n = 37;
    p.k = 515;
    p.transpose_b = transpose_b;
    p.variant = 3;
    Matrices<TypeParam> data = whole_matrices<TypeParam>(p, 7);
    for (std::size_t i = 0; i < data.a.size(); ++i) {
      data.a[i] /= static_cast<TypeParam>(3 + i % 5);  // not exact any more
    }
    point_to(p, data);
    ASSERT_TRUE(run(p, context).ok());
    for (std::int64_t row = 0; row < p.m; ++row) {
      Gemm single = p;
      std::vector<TypeParam> c(static_cast<std::size_t>(p.n));
      single.m = 1;
      single.a = static_cast<const TypeParam*>(p.a) + row * p.lda;
      single.c = c.data();
      ASSERT_TRUE(run(single, context).ok());
      EXPECT_TRUE(std::equal(c.begin(), c.end(), data.c.begin() + row * p.ldc)) << "row " << row;
    }
  }
}

TEST(Gemm, RefusesWhatItCannotMultiply) {
  const TestContext context(1);
  float data[64] = {};
  const auto status_of = [&](auto change) {
    Gemm p{};
    p.a = p.b = data;
    p.c = data + 32;
    p.m = 2;
    p.n = 3;
    p.k = 4;
    p.lda = 4;
    p.ldb = 3;
    p.ldc = 3;
    change(p);
    return run(p, context);
  };
  using Code = Status::Code;
  EXPECT_EQ(status_of([](Gemm&) {}).code, Code::ok);
  EXPECT_EQ(status_of([](Gemm& p) { p.m = -1; }).code, Code::invalid_argument);
  EXPECT_EQ(status_of([](Gemm& p) { p.batch = -1; }).code, Code::invalid_argument);
  EXPECT_EQ(status_of([](Gemm& p) { p.variant = 4; }).code, Code::invalid_argument);
  EXPECT_EQ(status_of([](Gemm& p) { p.variant = -1; }).code, Code::invalid_argument);
  EXPECT_EQ(status_of([](Gemm& p) { p.lda = 3; }).code, Code::invalid_argument);
  EXPECT_EQ(status_of([](Gemm& p) { p.ldb = 2; }).code, Code::invalid_argument);
  EXPECT_EQ(status_of([](Gemm& p) { p.ldc = 2; }).code, Code::invalid_argument);
  EXPECT_EQ(status_of([](Gemm& p) { p.transpose_b = true; }).code, Code::invalid_argument);
  EXPECT_EQ(status_of([](Gemm& p) { p.dtype = DType::i32; }).code, Code::unsupported);
  EXPECT_EQ(status_of([](Gemm& p) { p.dtype = DType::bf16; }).code, Code::unsupported);
  EXPECT_EQ(status_of([](Gemm& p) { p.lda = std::int64_t{1} << 31; }).code, Code::unsupported);
  EXPECT_NE(std::string(status_of([](Gemm& p) { p.m = -1; }).message), "");
  Gemm p{};
  p.a = p.b = data;
  p.c = data + 32;
  p.m = p.n = p.k = p.lda = p.ldb = p.ldc = 1;
  p.variant = 3;
  EXPECT_EQ(gemm(p, context).code, Code::invalid_argument) << "without a workspace";
}

}  // namespace
}  // namespace basin::kernels

// Products whose factors lose bits first: which bits, and that everything else is as in f32.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/common/half.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/linear_gelu.h"
#include "kernels/gemm/round_factors.h"
#include "kernels/loss/linear_cross_entropy.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

float tf32(float x) { return without_low_bits<kCutBits<Precision::tf32>>(x); }
float bf16(float x) { return without_low_bits<kCutBits<Precision::bf16>>(x); }

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

TEST(Rounding, GoesToTheNearestAndFromTheMiddleToEven) {
  // A unit in the last place of numbers in [1, 2) is 2^-10 in tf32 and 2^-7 in bf16.
  EXPECT_EQ(tf32(1.0f + 0x1p-11f), 1.0f);
  EXPECT_EQ(tf32(1.0f + 0x1.8p-11f), 1.0f + 0x1p-10f);
  EXPECT_EQ(tf32(1.0f + 0x1p-10f + 0x1p-11f), 1.0f + 0x1p-9f);
  EXPECT_EQ(tf32(-1.0f - 0x1.8p-11f), -1.0f - 0x1p-10f);
  EXPECT_EQ(bf16(1.0f + 0x1p-8f), 1.0f);
  EXPECT_EQ(bf16(1.0f + 0x1p-8f + 0x1p-20f), 1.0f + 0x1p-7f);
  EXPECT_EQ(bf16(1.0f + 0x1p-7f + 0x1p-8f), 1.0f + 0x1p-6f);
  // What has few bits stays, zeros with their sign and numbers below the normal ones, too.
  for (const float x : {0.0f, -0.0f, 1.0f, -3.5f, 0x1p-126f, 0x1p-133f, kInfinity, -kInfinity}) {
    EXPECT_EQ(bits(tf32(x)), bits(x));
    EXPECT_EQ(bits(bf16(x)), bits(x));
  }
  EXPECT_EQ(tf32(0x1p-140f), 0.0f);  // tf32 ends at 2^-136, with half of that going to even
  EXPECT_EQ(tf32(std::numeric_limits<float>::max()), kInfinity);
  EXPECT_EQ(bf16(-std::numeric_limits<float>::max()), -kInfinity);
  // Also a NaN whose payload lies in the bits that go.
  for (const float x :
       {kNan, std::bit_cast<float>(0x7F800001u), std::bit_cast<float>(0xFF800100u)}) {
    EXPECT_TRUE(std::isnan(tf32(x)));
    EXPECT_TRUE(std::isnan(bf16(x)));
    EXPECT_EQ(std::signbit(bf16(x)), std::signbit(x));
  }
}

TEST(Rounding, ToBf16IsTheConversionAndBack) {
  for (std::uint32_t upper = 0; upper < 0x10000u; upper += 7) {
    for (const std::uint32_t lower : {0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      const float x = std::bit_cast<float>(upper << 16 | lower);
      ASSERT_EQ(bits(bf16(x)), bits(to_float(to_bfloat16(x)))) << std::hex << (upper << 16 | lower);
    }
  }
}

std::vector<float> strange_numbers() {
  std::vector<float> numbers = uniform_numbers<float>(133, 5, -300, 300);
  numbers[0] = kNan;
  numbers[17] = kInfinity;
  numbers[64] = -0.0f;
  numbers[131] = std::bit_cast<float>(0x7F800001u);
  numbers[132] = std::numeric_limits<float>::max();
  return numbers;
}

template <class Context>
void expect_rounded(const Context& context) {
  const std::vector<float> from = strange_numbers();
  constexpr std::int64_t kRows = 7, kColumns = 19, kRow = 21;
  for (const Precision precision : {Precision::f32, Precision::tf32, Precision::bf16}) {
    std::vector<float> to(kRows * kRow, 3.0f);
    ASSERT_TRUE(
        round_factors({from.data(), to.data(), 1, kRows, kColumns, kColumns, 0, kRow, 0, precision},
                      context)
            .ok());
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t c = 0; c < kRow; ++c) {
        const float x = c < kColumns ? from[static_cast<std::size_t>(r * kColumns + c)] : 3.0f;
        const float expected = c >= kColumns                  ? x
                               : precision == Precision::tf32 ? tf32(x)
                               : precision == Precision::bf16 ? bf16(x)
                                                              : x;
        ASSERT_EQ(bits(to[static_cast<std::size_t>(r * kRow + c)]), bits(expected))
            << name_of(precision) << " " << r << " " << c;
      }
    }
  }
  std::vector<BFloat16> halves(kRows * kRow, BFloat16{0x4040});
  RoundFactors p{from.data(), halves.data(), 1, kRows,           kColumns, kColumns,
                 0,           kRow,          0, Precision::bf16, true};
  ASSERT_TRUE(round_factors(p, context).ok());
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t c = 0; c < kRow; ++c) {
      const std::uint16_t expected =
          c < kColumns ? to_bfloat16(from[static_cast<std::size_t>(r * kColumns + c)]).bits
                       : 0x4040;
      ASSERT_EQ(halves[static_cast<std::size_t>(r * kRow + c)].bits, expected) << r << " " << c;
    }
  }
  p.rows = 0;
  EXPECT_TRUE(round_factors(p, context).ok());
  p.precision = Precision::tf32;
  EXPECT_EQ(round_factors(p, context).code, Status::Code::invalid_argument);
}

TEST(RoundFactors, OnTheCpu) { expect_rounded(TestContext(2).get()); }
TEST(RoundFactors, ByTheExecutor) { expect_rounded(SimtContext{}); }

struct Product {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
};

// C of factors as they are given.
template <class Context>
std::vector<float> product_of(const Product& s, const std::vector<float>& a,
                              const std::vector<float>& b, Precision precision, int variant,
                              const Context& context) {
  std::vector<float> c(static_cast<std::size_t>(s.m * s.n), kNan);
  const std::vector<float> bias = uniform_numbers<float>(s.n, 9);
  Gemm p{};
  p.a = a.data();
  p.b = b.data();
  p.c = c.data();
  p.m = s.m;
  p.n = s.n;
  p.k = s.k;
  p.lda = s.transpose_a ? s.m : s.k;
  p.ldb = s.transpose_b ? s.k : s.n;
  p.ldc = s.n;
  p.transpose_a = s.transpose_a;
  p.transpose_b = s.transpose_b;
  p.bias = bias.data();
  p.variant = variant;
  p.precision = precision;
  std::vector<double> workspace(static_cast<std::size_t>(gemm_workspace(p, context) / 8 + 8));
  p.workspace = workspace.data();
  const Status status = gemm(p, context);
  EXPECT_TRUE(status.ok()) << status.message;
  return c;
}

std::vector<float> each(std::vector<float> numbers, float (*f)(float)) {
  for (float& x : numbers) {
    x = f(x);
  }
  return numbers;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

constexpr Product kProducts[] = {
    {5, 7, 3}, {70, 65, 300, true}, {33, 129, 40, false, true}, {20, 30, 1100, true, true}};

// Sums are those of f32: the same bits as of factors that have been rounded before.
template <class Context>
void expect_products_of_rounded(const Context& context) {
  for (const Product& s : kProducts) {
    const std::vector<float> a = uniform_numbers<float>(s.m * s.k, 1);
    const std::vector<float> b = uniform_numbers<float>(s.k * s.n, 2);
    for (int variant = 0; variant <= 3; ++variant) {
      SCOPED_TRACE(testing::Message() << s.m << "x" << s.n << "x" << s.k << " variant " << variant);
      const auto run = [&](const std::vector<float>& x, const std::vector<float>& y,
                           Precision precision) {
        return product_of(s, x, y, precision, variant, context);
      };
      const std::vector<float> in_f32 = run(a, b, Precision::f32);
      const std::vector<float> in_tf32 = run(a, b, Precision::tf32);
      const std::vector<float> in_bf16 = run(a, b, Precision::bf16);
      EXPECT_TRUE(same_bits(in_tf32, run(each(a, tf32), each(b, tf32), Precision::f32)));
      EXPECT_TRUE(same_bits(in_bf16, run(each(a, bf16), each(b, bf16), Precision::f32)));
      EXPECT_FALSE(same_bits(in_tf32, in_f32));
      EXPECT_FALSE(same_bits(in_bf16, in_tf32));
    }
  }
}

TEST(RoundedProducts, AreThoseOfRoundedFactorsOnTheCpu) {
  for (const int threads : {1, 3}) {
    expect_products_of_rounded(TestContext(threads).get());
  }
}
TEST(RoundedProducts, AreThoseOfRoundedFactorsByTheExecutor) {
  expect_products_of_rounded(SimtContext{});
}

TEST(RoundedProducts, DoNotDependOnTheNumberOfThreads) {
  for (const Product& s : kProducts) {
    const std::vector<float> a = uniform_numbers<float>(s.m * s.k, 1);
    const std::vector<float> b = uniform_numbers<float>(s.k * s.n, 2);
    const auto run = [&](int threads) {
      return product_of(s, a, b, Precision::bf16, 0, TestContext(threads).get());
    };
    EXPECT_TRUE(same_bits(run(2), run(1)));
    EXPECT_TRUE(same_bits(run(5), run(1)));
  }
}

// A row of C is the same alone and among others.
TEST(RoundedProducts, RowsDoNotDependOnOneAnother) {
  const TestContext context(2);
  const Product all{40, 50, 300, false, true};
  const std::vector<float> a = uniform_numbers<float>(all.m * all.k, 1);
  const std::vector<float> b = uniform_numbers<float>(all.k * all.n, 2);
  const std::vector<float> together = product_of(all, a, b, Precision::bf16, 3, context.get());
  for (const std::int64_t row : {0, 17, 39}) {
    const std::vector<float> own(a.begin() + row * all.k, a.begin() + (row + 1) * all.k);
    const std::vector<float> alone =
        product_of({1, all.n, all.k, false, true}, own, b, Precision::bf16, 3, context.get());
    EXPECT_TRUE(
        same_bits(alone, {together.begin() + row * all.n, together.begin() + (row + 1) * all.n}));
  }
}

template <class Context>
void expect_refusals(const Context& context) {
  const double number = 1;
  double result = 0;
  Gemm p{};
  p.a = p.b = &number;
  p.c = &result;
  p.m = p.n = p.k = p.lda = p.ldb = p.ldc = 1;
  p.precision = Precision::bf16;
  EXPECT_EQ(gemm(p, context).code, Status::Code::invalid_argument) << "without a workspace";
  p.dtype = DType::f64;
  EXPECT_EQ(gemm(p, context).code, Status::Code::unsupported);
  LinearGeluForward gelu{};
  gelu.x = gelu.weight = &number;
  gelu.z = gelu.y = &result;
  gelu.rows = gelu.in = gelu.out = 1;
  gelu.dtype = DType::f64;
  gelu.precision = Precision::tf32;
  EXPECT_EQ(linear_gelu_forward(gelu, context).code, Status::Code::unsupported);
  const std::int64_t target = 0;
  LinearCrossEntropy loss{};
  loss.x = loss.weight = &number;
  loss.targets = &target;
  loss.row_loss = &result;
  loss.rows = loss.width = loss.classes = 1;
  loss.ignore_index = -1;
  loss.dtype = DType::f64;
  loss.precision = Precision::tf32;
  EXPECT_EQ(linear_cross_entropy(loss, context).code, Status::Code::unsupported);
}

TEST(RoundedProducts, AreRefusedInF64) {
  expect_refusals(TestContext(1).get());
  expect_refusals(SimtContext{});
}

// NaN and infinity are not rounded into numbers.
TEST(RoundedProducts, KeepWhatIsNotFinite) {
  const TestContext context(1);
  const Product s{2, 2, 2};
  const std::vector<float> ones(4, 1.0f);
  const std::vector<float> a = {kNan, 1, 1, kInfinity};
  for (const Precision precision : {Precision::tf32, Precision::bf16}) {
    const std::vector<float> c = product_of(s, a, ones, precision, 0, context.get());
    EXPECT_TRUE(std::isnan(c[0]) && std::isnan(c[1]));
    EXPECT_EQ(c[2], kInfinity);
  }
}

}  // namespace
}  // namespace basin::kernels

// The f32 polynomials of kernels/common/math.h against libm in double, over the whole range of f32.
#include "kernels/common/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace basin::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kSmallest = std::numeric_limits<float>::denorm_min();
constexpr float kLargest = std::numeric_limits<float>::max();

// Every 499th f32 bit pattern that is a number: 8.5 million, in every binade, of both signs.
template <class F>
void for_many_floats(F&& function) {
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 499) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(x)) {
      function(x);
    }
  }
}

// The distance between neighbouring f32 around a positive number; subnormals are 2^-149 apart.
double spacing(double value) {
  int exponent = 0;
  std::frexp(value, &exponent);
  return std::ldexp(1.0, std::max(exponent - 24, -149));
}

TEST(Exp, StaysWithinTwoUlp) {
  double worst = 0;
  float worst_at = 0;
  for_many_floats([&](float x) {
    const double expected = std::exp(static_cast<double>(x));
    if (expected >= 0x1p128) {  // beyond the largest f32
      ASSERT_EQ(exp_of(x), kInfinity) << "x = " << x;
      return;
    }
    const double error = std::abs(static_cast<double>(exp_of(x)) - expected) / spacing(expected);
    if (!(error <= worst)) {
      worst = error;
      worst_at = x;
    }
  });
  EXPECT_TRUE(worst <= 2.0) << worst << " ulp at x = " << worst_at;
}

TEST(Exp, KnowsTheEdges) {
  EXPECT_EQ(exp_of(0.0f), 1.0f);
  EXPECT_EQ(exp_of(-0.0f), 1.0f);
  EXPECT_EQ(exp_of(kSmallest), 1.0f);
  EXPECT_EQ(exp_of(-kSmallest), 1.0f);
  EXPECT_EQ(exp_of(kInfinity), kInfinity);
  EXPECT_EQ(exp_of(kLargest), kInfinity);
  EXPECT_EQ(exp_of(-kInfinity), 0.0f);
  EXPECT_EQ(exp_of(-kLargest), 0.0f);
  EXPECT_FALSE(std::signbit(exp_of(-kInfinity)));
  EXPECT_TRUE(std::isnan(exp_of(kNaN)));
  EXPECT_TRUE(std::isnan(exp_of(-kNaN)));
  // The last finite value, and the subnormals, where results become 0 gradually.
  EXPECT_TRUE(std::isfinite(exp_of(88.72f)));
  EXPECT_EQ(exp_of(88.73f), kInfinity);
  EXPECT_GT(exp_of(-100.0f), 0.0f);
  EXPECT_EQ(exp_of(-104.0f), 0.0f);
}

TEST(Tanh, StaysWithinItsErrorAndIsOdd) {
  double worst = 0;
  float worst_at = 0;
  for_many_floats([&](float x) {
    const float y = tanh_of(x);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(tanh_of(-x)),
              std::bit_cast<std::uint32_t>(y) ^ 0x80000000u)
        << "x = " << x;
    const double error = std::abs(static_cast<double>(y) - std::tanh(static_cast<double>(x)));
    if (!(error <= worst)) {
      worst = error;
      worst_at = x;
    }
    ASSERT_TRUE(std::abs(y) <= 1.0f) << "x = " << x;
  });
  EXPECT_TRUE(worst <= 2e-7) << worst << " at x = " << worst_at;
}

// Near 0 both are proportional to x: an absolute bound would let through a series that is wrong
// there.
TEST(Tanh, KeepsRelativeAccuracyNearZero) {
  for (float x = 0.25f; x > 0x1p-140f; x *= 0.7f) {
    const double expected = std::tanh(static_cast<double>(x));
    const double error = std::abs(static_cast<double>(tanh_of(x)) - expected);
    EXPECT_TRUE(error <= 2 * spacing(expected)) << "x = " << x;
  }
}

TEST(Tanh, KnowsTheEdges) {
  EXPECT_EQ(tanh_of(kInfinity), 1.0f);
  EXPECT_EQ(tanh_of(-kInfinity), -1.0f);
  EXPECT_EQ(tanh_of(kLargest), 1.0f);
  EXPECT_EQ(tanh_of(-kLargest), -1.0f);
  EXPECT_EQ(tanh_of(0.0f), 0.0f);
  EXPECT_TRUE(std::signbit(tanh_of(-0.0f)));
  EXPECT_EQ(tanh_of(kSmallest), kSmallest);
  EXPECT_TRUE(std::isnan(tanh_of(kNaN)));
}

TEST(Erf, StaysWithinItsError) {
  double worst = 0;
  float worst_at = 0;
  for_many_floats([&](float x) {
    const float y = erf_of(x);
    const double error = std::abs(static_cast<double>(y) - std::erf(static_cast<double>(x)));
    if (!(error <= worst)) {
      worst = error;
      worst_at = x;
    }
    ASSERT_TRUE(std::abs(y) <= 1.0f) << "x = " << x;
    ASSERT_EQ(erf_of(-x), -y) << "x = " << x;
  });
  EXPECT_TRUE(worst <= 3e-7) << worst << " at x = " << worst_at;
}

TEST(Erf, KeepsRelativeAccuracyNearZero) {
  for (float x = 0.749f; x > 0x1p-140f; x *= 0.7f) {
    const double expected = std::erf(static_cast<double>(x));
    const double error = std::abs(static_cast<double>(erf_of(x)) - expected);
    EXPECT_TRUE(error <= 3 * spacing(expected)) << "x = " << x;
  }
}

TEST(Erf, KnowsTheEdges) {
  EXPECT_EQ(erf_of(kInfinity), 1.0f);
  EXPECT_EQ(erf_of(-kInfinity), -1.0f);
  EXPECT_EQ(erf_of(kLargest), 1.0f);
  EXPECT_EQ(erf_of(-kLargest), -1.0f);
  EXPECT_TRUE(std::isnan(erf_of(kNaN)));
  EXPECT_EQ(erf_of(0.0f), 0.0f);
  EXPECT_TRUE(std::signbit(erf_of(-0.0f)));
}

}  // namespace
}  // namespace basin::kernels

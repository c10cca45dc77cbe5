// Philox against its published vectors, and the two kernels that draw from it.
#include "kernels/random/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "kernels/common/philox.h"
#include "kernels/dropout/dropout.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

// The lines "philox4x32 10" of kat_vectors in Random123 1.14 (D. E. Shaw Research): counter 0, all
// ones, and digits of pi.
TEST(Philox, GivesThePublishedAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox(0, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, NumbersWordsByElement) {
  constexpr std::uint64_t key = 42;
  constexpr std::uint64_t stream = 5;
  for (std::uint64_t i = 0; i < 64; ++i) {
    EXPECT_EQ(philox_word(key, stream, i), philox(key, i / 4, stream)[i % 4]);
  }
  EXPECT_NE(philox_word(key, 0, 0), philox_word(key, 1, 0));
}

TEST(Philox, MakesUniformNumbersBelowOne) {
  EXPECT_EQ(uniform_from_word(0), 0.0f);
  EXPECT_EQ(uniform_from_word(0xFFFFFFFFu), 1.0f - 0x1p-24f);
  EXPECT_EQ(uniform_from_word(0x80000000u), 0.5f);
}

TEST(Philox, DerivesKeysThatDiffer) {
  std::set<std::uint64_t> keys;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    for (std::uint64_t purpose = 0; purpose < 30; ++purpose) {
      keys.insert(derive_key(seed, purpose));
    }
  }
  EXPECT_EQ(keys.size(), 900u);
}

template <class T>
std::vector<T> drawn(std::int64_t count, Distribution distribution, double a, double b,
                     std::uint64_t key, int threads) {
  const TestContext context(threads);
  std::vector<T> y(static_cast<std::size_t>(count));
  EXPECT_TRUE(
      random_fill({y.data(), count, distribution, a, b, key, 0, dtype_of<T>}, context).ok());
  return y;
}

TEST(RandomFill, GivesAnElementTheSameNumberInArraysOfAnyLength) {
  for (const Distribution distribution : {Distribution::uniform, Distribution::normal}) {
    const auto all = drawn<float>(30001, distribution, 0, 1, 9, 2);
    for (const std::int64_t count : {0, 1, 2, 3, 8191, 8192, 8193, 30000}) {
      const auto part = drawn<float>(count, distribution, 0, 1, 9, 1);
      EXPECT_TRUE(same_bits(part, std::vector<float>(all.begin(), all.begin() + count))) << count;
    }
  }
}

// The first number of this key is 1 - 2e-8, which rounds to 1 in f32.
TEST(RandomFill, NeverReachesTheEndOfTheInterval) {
  constexpr std::uint64_t key = 16390493;
  ASSERT_EQ(philox(key, 0)[0], 0xffffffb3u);
  EXPECT_EQ(drawn<float>(1, Distribution::uniform, 0, 1, key, 1)[0], 1.0f - 0x1p-24f);
  EXPECT_LT(drawn<float>(1, Distribution::uniform, -3, 7, key, 1)[0], 7.0f);
  EXPECT_GT(drawn<float>(1, Distribution::uniform, -3, 7, key, 1)[0], 6.999999f);
  EXPECT_LT(drawn<double>(1, Distribution::uniform, 0, 1, key, 1)[0], 1.0);
  // An interval without width has nothing else to give.
  EXPECT_EQ(drawn<float>(1, Distribution::uniform, 2, 2, key, 1)[0], 2.0f);
}

struct Moments {
  double mean = 0, deviation = 0, lowest = 0, highest = 0;
};

Moments moments_of(const std::vector<double>& y) {
  Moments m{0, 0, y[0], y[0]};
  for (const double value : y) {
    m.mean += value / static_cast<double>(y.size());
    m.lowest = std::min(m.lowest, value);
    m.highest = std::max(m.highest, value);
  }
  for (const double value : y) {
    m.deviation += (value - m.mean) * (value - m.mean) / static_cast<double>(y.size());
  }
  m.deviation = std::sqrt(m.deviation);
  return m;
}

// With n = 10^6 the standard error of a mean is deviation / 1000; five of them are allowed.
TEST(RandomFill, HasTheMomentsOfItsDistribution) {
  constexpr std::int64_t n = 1000000;
  const Moments uniform = moments_of(drawn<double>(n, Distribution::uniform, -2, 4, 1, 2));
  EXPECT_NEAR(uniform.mean, 1, 5 * 1.732e-3);
  EXPECT_NEAR(uniform.deviation, 6 / std::sqrt(12.0), 5e-3);
  EXPECT_GE(uniform.lowest, -2);
  EXPECT_LT(uniform.highest, 4);
  EXPECT_LT(uniform.lowest, -1.9999);
  EXPECT_GT(uniform.highest, 3.9999);

  const Moments normal = moments_of(drawn<double>(n, Distribution::normal, 3, 2, 1, 2));
  EXPECT_NEAR(normal.mean, 3, 5 * 2e-3);
  EXPECT_NEAR(normal.deviation, 2, 5 * 1.42e-3);
  EXPECT_GT(normal.highest, 3 + 2 * 4.2);  // 26 of a million lie beyond 4.2 deviations
  EXPECT_LT(normal.highest, 3 + 2 * 8.5);  // the largest that 52 bits can give
}

TEST(Dropout, DrawsTheSameMaskAgainForTheGradient) {
  const TestContext context;
  constexpr std::int64_t count = 100003;
  const std::vector<float> ones(count, 1.0f);
  const auto gradient = uniform_numbers<float>(count, 3, 0.5, 1.5);
  std::vector<float> y(count);
  std::vector<float> dx(count);
  constexpr double p = 0.3;
  ASSERT_TRUE(dropout({ones.data(), y.data(), count, p, 11, 2, DType::f32}, context).ok());
  ASSERT_TRUE(dropout({gradient.data(), dx.data(), count, p, 11, 2, DType::f32}, context).ok());
  std::int64_t dropped = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    dropped += y[i] == 0 ? 1 : 0;
    ASSERT_EQ(y[i] == 0, dx[i] == 0) << i;
  }
  // Standard error of the share: sqrt(0.21 / 10^5) = 1.4e-3.
  EXPECT_NEAR(static_cast<double>(dropped) / count, p, 7e-3);
}

// The first uniform number of this key is exactly 0, which is not below p = 0.
TEST(Dropout, KeepsEverythingAtProbabilityZero) {
  const TestContext context(1);
  constexpr std::uint64_t key = 12121362;
  ASSERT_EQ(uniform_from_word(philox_word(key, 0, 0)), 0.0f);
  const float x = 3;
  float y = 0;
  ASSERT_TRUE(dropout({&x, &y, 1, 0.0, key, 0, DType::f32}, context).ok());
  EXPECT_EQ(y, 3.0f);
  ASSERT_TRUE(dropout({&x, &y, 1, 0x1p-24, key, 0, DType::f32}, context).ok());
  EXPECT_EQ(y, 0.0f);
}

TEST(Dropout, DropsNaNAndInfinityToo) {
  const TestContext context;
  constexpr std::int64_t count = 1000;
  std::vector<double> x(count, std::numeric_limits<double>::quiet_NaN());
  std::vector<double> y(count, 7);
  ASSERT_TRUE(dropout({x.data(), y.data(), count, 0.5, 1, 0, DType::f64}, context).ok());
  std::int64_t zeros = 0;
  for (const double value : y) {
    zeros += value == 0 ? 1 : 0;
    EXPECT_TRUE(value == 0 || std::isnan(value));
  }
  EXPECT_GT(zeros, 400);
  EXPECT_LT(zeros, 600);
}

}  // namespace
}  // namespace basin::kernels

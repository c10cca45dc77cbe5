// Random tensors: the same seed and the same calls give the same bits, and the numbers have the
// distribution they claim.
#include "tensor/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "tensor/error.h"
#include "tests/support/allocators.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"

namespace basin {
namespace {

using test::refuses;
using test::same_bits;

TEST(Rng, RepeatsItselfForTheSameSeed) {
  Rng a(42);
  Rng b(42);
  for (int n = 0; n < 3; ++n) {
    EXPECT_TRUE(same_bits(a.normal({3, 5}, 2.0, DType::f32), b.normal({3, 5}, 2.0, DType::f32)));
    EXPECT_TRUE(same_bits(a.uniform({7}, -1, 1, DType::f64), b.uniform({7}, -1, 1, DType::f64)));
  }
  EXPECT_EQ(a.position(), 6u);
  EXPECT_EQ(a.seed(), 42u);
}

TEST(Rng, GivesOtherNumbersForOtherSeedsAndEveryFill) {
  std::set<std::vector<double>> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    for (int n = 0; n < 5; ++n) {
      seen.insert(rng.normal({4}, 1.0, DType::f64).to_vector<double>());
    }
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(Rng, GoesBackToAPosition) {
  Rng rng(7);
  (void)rng.uniform({3}, 0, 1, DType::f32);
  const std::uint64_t position = rng.position();
  const Tensor first = rng.normal({100}, 1.0, DType::f32);
  (void)rng.next_stream();
  rng.set_position(position);
  EXPECT_TRUE(same_bits(rng.normal({100}, 1.0, DType::f32), first));
}

TEST(Rng, MakesElementNDependOnNAlone) {
  const auto draw = [](const Shape& shape) {
    return Rng(5).normal(shape, 1.0, DType::f64).to_vector<double>();
  };
  const std::vector<double> longest = draw({10001});
  for (const std::int64_t count : {1, 2, 7, 10000}) {
    const std::vector<double> shorter = draw({count});
    EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longest.begin())) << count;
  }
  EXPECT_EQ(draw({137, 73}), draw({73, 137})) << "the shape makes no difference";
}

TEST(Rng, DoesNotDependOnTheNumberOfThreads) {
  const auto draw = [](int threads) {
    const test::ScopedThreads scope(threads);
    Rng rng(9);
    return std::vector{rng.normal({30011}, 1.0, DType::f32),
                       rng.uniform({30011}, 0, 1, DType::f64)};
  };
  const std::vector<Tensor> one = draw(1);
  EXPECT_TRUE(same_bits(one, draw(2)));
  EXPECT_TRUE(same_bits(one, draw(3)));
}

TEST(Rng, WritesEveryElement) {
  const ScopedAllocator scope(std::make_shared<test::NanFillingAllocator>());
  for (const std::int64_t count : {1, 2, 3, 4, 8191, 8192, 8193}) {
    for (const double value : Rng(1).uniform({count}, 0, 1, DType::f32).to_vector<double>()) {
      ASSERT_TRUE(value >= 0.0 && value < 1.0) << count;
    }
  }
  EXPECT_EQ(Rng(1).normal({0, 3}, 1.0, DType::f32).numel(), 0);
  EXPECT_TRUE(std::isfinite(Rng(1).normal({}, 1.0, DType::f64).item()));
}

TEST(Rng, HasTheRightMoments) {
  constexpr std::int64_t count = 200000;
  const double n = static_cast<double>(count);
  const auto moments = [](const Tensor& x) {
    double mean = 0;
    double square = 0;
    for (const double value : x.to_vector<double>()) {
      mean += value;
      square += value * value;
    }
    const auto size = static_cast<double>(x.numel());
    return std::pair{mean / size, square / size};
  };
  Rng rng(3);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto [mean, square] = moments(rng.normal({count}, 3.0, dtype));
    // Five standard errors: of the mean, 3 / sqrt(n); of the mean square, 9 sqrt(2 / n).
    EXPECT_TRUE(std::abs(mean) <= 5 * 3 / std::sqrt(n)) << mean;
    EXPECT_TRUE(std::abs(square - 9) <= 5 * 9 * std::sqrt(2 / n)) << square;
    const auto [middle, spread] = moments(rng.uniform({count}, -2.0, 4.0, dtype));
    // Uniform in [-2, 4): mean 1, variance 3, fourth central moment 81/5.
    EXPECT_TRUE(std::abs(middle - 1) <= 5 * std::sqrt(3 / n)) << middle;
    EXPECT_TRUE(std::abs(spread - 4) <= 5 * std::sqrt(30 / n)) << spread;
  }
}

TEST(Rng, RefusesOtherDTypes) {
  EXPECT_TRUE(refuses<Error>([] { (void)Rng(1).uniform({2}, 0, 1, DType::i32); },
                             {"f32 or f64", "(2) i32"}));
}

TEST(UniformIndex, StaysBelowItsBoundAndReachesEverything) {
  std::vector<int> counts(10, 0);
  constexpr std::uint64_t draws = 20000;
  for (std::uint64_t n = 0; n < draws; ++n) {
    const std::uint64_t index = uniform_index(11, 2, n, counts.size());
    ASSERT_LT(index, counts.size());
    ++counts[index];
    ASSERT_EQ(uniform_index(11, 2, n, 1), 0u);
  }
  double chi_squared = 0;
  for (const int count : counts) {
    const double expected = static_cast<double>(draws) / 10;
    chi_squared += (count - expected) * (count - expected) / expected;
  }
  // 9 degrees of freedom: above 33.7 in one case of ten thousand.
  EXPECT_TRUE(chi_squared <= 33.7) << chi_squared;
}

TEST(UniformIndex, UsesAll64Bits) {
  constexpr std::uint64_t bound = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t ones = 0;
  std::uint64_t zeros = 0;
  for (std::uint64_t n = 0; n < 100; ++n) {
    ones |= uniform_index(3, 4, n, bound);
    zeros |= ~uniform_index(3, 4, n, bound);
  }
  EXPECT_EQ(ones, bound) << "some bit is never 1";
  EXPECT_EQ(zeros, bound) << "some bit is never 0";
}

}  // namespace
}  // namespace basin

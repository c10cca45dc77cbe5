// Rows of weights with known answers.
#include "kernels/association/row_diagnostics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

std::int64_t size_of(const std::vector<double>& x) { return static_cast<std::int64_t>(x.size()); }

double entropy_of(const std::vector<double>& weights) {
  return weights_entropy(weights.data(), size_of(weights));
}

std::int64_t fewest_of(const std::vector<double>& weights, double share = 0.9) {
  std::vector<double> scratch(weights.size());
  return fewest_weights(weights.data(), size_of(weights), share, scratch.data());
}

std::vector<double> softmax(const std::vector<double>& scores, double temperature) {
  double largest = scores[0];
  for (const double s : scores) {
    largest = std::max(largest, s);
  }
  std::vector<double> weights;
  double sum = 0;
  for (const double s : scores) {
    weights.push_back(std::exp((s - largest) / temperature));
    sum += weights.back();
  }
  for (double& weight : weights) {
    weight /= sum;
  }
  return weights;
}

std::vector<double> standardised(const std::vector<double>& scores) {
  std::vector<double> z(scores.size());
  EXPECT_TRUE(standardise(scores.data(), size_of(scores), z.data()));
  return z;
}

TEST(RowDiagnostics, OfAUniformRow) {
  for (const std::size_t n : {1, 2, 7, 10, 30, 1000}) {
    const std::vector<double> weights(n, 1 / static_cast<double>(n));
    EXPECT_NEAR(entropy_of(weights), std::log(static_cast<double>(n)), 1e-12) << n;
    // ceil(0.9 n), in whole numbers.
    EXPECT_EQ(fewest_of(weights), static_cast<std::int64_t>((9 * n + 9) / 10)) << n;
  }
}

TEST(RowDiagnostics, OfARowWithOneWeight) {
  std::vector<double> weights(9, 0.0);
  weights[4] = 1;
  EXPECT_EQ(entropy_of(weights), 0.0);
  EXPECT_EQ(fewest_of(weights), 1);
}

TEST(RowDiagnostics, OfTwoEqualWeights) {
  const std::vector<double> weights = {0, 0.5, 0, 0, 0.5, 0};
  EXPECT_NEAR(entropy_of(weights), std::log(2.0), 1e-15);
  EXPECT_EQ(fewest_of(weights), 2);
  EXPECT_EQ(fewest_of(weights, 0.5), 1);
}

TEST(RowDiagnostics, RowsThatDoNotSumToOneAreTakenByTheirShares) {
  const std::vector<double> whole = {0.6, 0.3, 0.1};
  const std::vector<double> half = {0.3, 0.15, 0.05};
  EXPECT_NEAR(entropy_of(half), entropy_of(whole), 1e-15);
  EXPECT_EQ(fewest_of(half), fewest_of(whole));
  EXPECT_TRUE(std::isnan(entropy_of({0, 0, 0})));
  EXPECT_TRUE(std::isnan(entropy_of({})));
  EXPECT_EQ(fewest_of({0, 0, 0}), 0);
}

TEST(RowDiagnostics, StandardisedScoresHaveMeanZeroAndVarianceOne) {
  const std::vector<double> z = standardised(uniform_numbers<double>(50, 3, -7, 20));
  double sum = 0;
  double squares = 0;
  for (const double x : z) {
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum, 0, 1e-12);
  EXPECT_NEAR(squares, 50, 1e-10);
  std::vector<double> scratch(4, 5.0);
  const std::vector<double> constant(4, 0.3);
  EXPECT_FALSE(standardise(constant.data(), 4, scratch.data()));
  EXPECT_EQ(scratch, std::vector<double>(4, 0.0));
}

// Rows made by softmax at a known temperature on standardised scores give that temperature back.
TEST(RowDiagnostics, TheTemperatureOfASoftmaxIsRecovered) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    for (const std::int64_t n : {2, 5, 64, 500}) {
      const std::vector<double> z = standardised(uniform_numbers<double>(n, seed));
      for (const double temperature : {0.1, 0.3, 1.0, 4.0, 30.0}) {
        const double entropy = entropy_of(softmax(z, temperature));
        if (entropy < 1e-9) {
          continue;  // sharper than numbers can tell
        }
        // The entropy falls short of ln n by about 1 / (2 T^2): rounding of 1e-15 hides T by
        // 1e-15 T^2 of itself, bisection ends at 1e-9.
        EXPECT_NEAR(effective_temperature(z.data(), n, entropy), temperature, 1e-6 * temperature)
            << n << " " << temperature;
      }
    }
  }
}

TEST(RowDiagnostics, TemperaturesBeyondTheRangeAreItsEnds) {
  const std::vector<double> z = standardised({0, 1, 2, 3});
  EXPECT_EQ(effective_temperature(z.data(), 4, 0.0), kLeastTemperature);
  EXPECT_EQ(effective_temperature(z.data(), 4, std::log(4.0)), kMostTemperature);
  // Two equal scores lead: no temperature is sharper than ln 2.
  const std::vector<double> tie = standardised({0, 1, 1});
  EXPECT_EQ(effective_temperature(tie.data(), 3, 0.5), kLeastTemperature);
  const std::vector<double> constant(6, 0.0);
  EXPECT_EQ(effective_temperature(constant.data(), 6, std::log(6.0)), kMostTemperature);
  EXPECT_EQ(effective_temperature(constant.data(), 6, 0.1), kMostTemperature);
  EXPECT_EQ(effective_temperature(constant.data(), 1, 0.0), kMostTemperature);
}

// Properties of any row: the order of keys says nothing, and a sharper softmax has less entropy, a
// lower temperature and no more weights that reach 90 %.
TEST(RowDiagnostics, SharperRowsAreSharperByEveryFigure) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector<double> scores = uniform_numbers<double>(40, seed, -3, 3);
    const std::vector<double> z = standardised(scores);
    double last_entropy = std::log(40.0) + 1e-9;
    double last_temperature = kMostTemperature;
    std::int64_t last_fewest = 40;
    for (const double beta : {0.05, 0.3, 1.0, 3.0, 10.0}) {
      std::vector<double> weights = softmax(scores, 1 / beta);
      const double entropy = entropy_of(weights);
      const double temperature = effective_temperature(z.data(), 40, entropy);
      const std::int64_t fewest = fewest_of(weights);
      EXPECT_LT(entropy, last_entropy);
      EXPECT_LT(temperature, last_temperature);
      EXPECT_LE(fewest, last_fewest);
      std::reverse(weights.begin(), weights.end());
      EXPECT_NEAR(entropy_of(weights), entropy, 1e-13);
      EXPECT_EQ(fewest_of(weights), fewest);
      last_entropy = entropy;
      last_temperature = temperature;
      last_fewest = fewest;
    }
  }
}

TEST(RowDiagnostics, RegimesByTheFewestWeights) {
  EXPECT_EQ(regime_of(1, 1), Regime::fixed_point);
  EXPECT_EQ(regime_of(1, 100), Regime::fixed_point);
  EXPECT_EQ(regime_of(2, 100), Regime::metastable);
  EXPECT_EQ(regime_of(50, 100), Regime::metastable);
  EXPECT_EQ(regime_of(51, 100), Regime::global_average);
  EXPECT_EQ(regime_of(2, 3), Regime::global_average);
  EXPECT_EQ(regime_of(2, 4), Regime::metastable);
}

}  // namespace
}  // namespace basin::kernels

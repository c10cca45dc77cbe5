// Means, spreads, intervals and tests against values from tables, from SciPy 1.x and by hand.
#include "tasks/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tensor/error.h"

namespace basin::statistics {
namespace {

TEST(StudentsT, QuantilesOfPrintedTables) {
  // The 0.975 column of the usual tables, which print three digits.
  const std::pair<double, double> table[] = {{1, 12.706}, {2, 4.303},  {3, 3.182},  {4, 2.776},
                                             {5, 2.571},  {9, 2.262},  {10, 2.228}, {29, 2.045},
                                             {30, 2.042}, {60, 2.000}, {120, 1.980}};
  for (const auto& [degrees, t] : table) {
    EXPECT_NEAR(students_t_quantile(0.975, degrees), t, 0.0005) << degrees;
    EXPECT_NEAR(students_t_quantile(0.025, degrees), -t, 0.0005) << degrees;
  }
}

TEST(StudentsT, ClosedForms) {
  // One degree: Cauchy, tan(pi (p - 1/2)). Two degrees: (2p - 1) sqrt(2 / (4 p (1 - p))).
  for (const double p : {0.01, 0.3, 0.6, 0.975, 0.999}) {
    const double cauchy = std::tan(M_PI * (p - 0.5));
    const double two = (2.0 * p - 1.0) * std::sqrt(2.0 / (4.0 * p * (1.0 - p)));
    EXPECT_NEAR(students_t_quantile(p, 1), cauchy, 1e-10 * (1.0 + std::abs(cauchy)));
    EXPECT_NEAR(students_t_quantile(p, 2), two, 1e-10 * (1.0 + std::abs(two)));
  }
  EXPECT_NEAR(students_t_quantile(0.5, 7), 0.0, 1e-12);
  // Many degrees: the normal distribution's 1.959964.
  EXPECT_NEAR(students_t_quantile(0.975, 1e7), 1.959964, 1e-5);
}

TEST(StudentsT, RefusesWhatHasNoQuantile) {
  for (const double p : {0.0, 1.0, -0.1, std::nan("")}) {
    EXPECT_THROW((void)students_t_quantile(p, 3), Error);
  }
  for (const double degrees : {0.0, -1.0, static_cast<double>(INFINITY), std::nan("")}) {
    EXPECT_THROW((void)students_t_quantile(0.975, degrees), Error);
  }
}

TEST(Estimate, KnownSamples) {
  // Mean 5, squares 9+1+1+1+0+0+4+16 = 32 over 7.
  const Estimate e = estimate({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(e.n, 8U);
  EXPECT_DOUBLE_EQ(e.mean, 5.0);
  ASSERT_TRUE(e.sd && e.half_width);
  EXPECT_NEAR(*e.sd, 2.138089935299395, 1e-14);
  EXPECT_NEAR(*e.half_width, 2.364624 * 2.138089935299395 / std::sqrt(8.0), 1e-6);
  EXPECT_DOUBLE_EQ(e.low(), 5.0 - *e.half_width);
  EXPECT_DOUBLE_EQ(e.high(), 5.0 + *e.half_width);
  // Two values: sd is their distance over sqrt(2), the interval 12.706 times half of it.
  const Estimate two = estimate({0.25, 0.75});
  EXPECT_NEAR(*two.sd, 0.5 / std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(*two.half_width, 12.7062047 * 0.25, 1e-7);
}

TEST(Estimate, ValuesCloseTogetherKeepTheirDigits) {
  const Estimate e = estimate({1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16});
  EXPECT_NEAR(*e.sd, std::sqrt(30.0), 1e-9);
}

TEST(Estimate, OneValueHasNoSpread) {
  const Estimate one = estimate({0.5});
  EXPECT_DOUBLE_EQ(one.mean, 0.5);
  EXPECT_FALSE(one.sd || one.half_width);
  EXPECT_THROW((void)estimate({}), Error);
}

TEST(Estimate, FarBelowChance) {
  const Estimate around = estimate({0.24, 0.26});  // sd 0.0141
  EXPECT_FALSE(is_far_below_chance(around, 0.25, true));
  EXPECT_FALSE(is_far_below_chance(around, 0.29, true));
  EXPECT_TRUE(is_far_below_chance(around, 0.30, true));
  EXPECT_FALSE(is_far_below_chance(around, 0.30, false));
  EXPECT_TRUE(is_far_below_chance(around, 0.20, false));
  EXPECT_FALSE(is_far_below_chance(estimate({0.0}), 0.5, true));
  EXPECT_TRUE(is_far_below_chance(estimate({0.0, 0.0}), 0.5, true));
  EXPECT_FALSE(is_far_below_chance(estimate({0.1, 0.1, 0.1}), 0.1, true));
}

const std::vector<double> kFirst = {0.91, 0.94, 0.89, 0.97, 0.92};

TEST(WilsonInterval, AgainstSciPy) {
  // scipy.stats.binomtest(k, n).proportion_ci(method='wilson')
  const struct {
    std::int64_t k, n;
    double low, high;
  } cases[] = {{0, 10, 0.0, 0.27753279986288926},
               {10, 10, 0.7224672001371109, 1.0},
               {7, 10, 0.39677814746114526, 0.892208732593699},
               {1, 1000, 0.00017654637062607809, 0.0056425585979579355},
               {470, 500, 0.9156389368747802, 0.9576516435190539}};
  for (const auto& c : cases) {
    const Interval interval = wilson_interval(c.k, c.n);
    EXPECT_NEAR(interval.low, c.low, 1e-14) << c.k;
    EXPECT_NEAR(interval.high, c.high, 1e-14) << c.k;
  }
  EXPECT_EQ(wilson_interval(0, 3).low, 0.0);
  EXPECT_EQ(wilson_interval(3, 3).high, 1.0);
  for (const auto& [k, n] : {std::pair{0, 0}, {-1, 5}, {6, 5}}) {
    EXPECT_THROW((void)wilson_interval(k, n), Error);
  }
}

TEST(Welch, AgainstSciPy) {
  // scipy.stats.ttest_ind(a, b, equal_var=False) and its confidence_interval()
  const Comparison c = welch_comparison(kFirst, {0.85, 0.90, 0.80, 0.84});
  EXPECT_NEAR(c.difference, 0.0785, 1e-14);
  EXPECT_NEAR(c.t, 3.181198185717339, 1e-12);
  EXPECT_NEAR(c.degrees, 5.431194392322008, 1e-12);
  EXPECT_NEAR(c.p, 0.021845193296475666, 1e-12);
  EXPECT_NEAR(c.interval.low, 0.016552920221741978, 1e-12);
  EXPECT_NEAR(c.interval.high, 0.14044707977825804, 1e-12);
  EXPECT_TRUE(c.is_positive());
  EXPECT_FALSE(c.is_negative());
  const Comparison turned = welch_comparison({0.85, 0.90, 0.80, 0.84}, kFirst);
  EXPECT_TRUE(turned.is_negative());
  EXPECT_DOUBLE_EQ(turned.p, c.p);
}

TEST(Welch, SamplesThatDoNotVary) {
  const Comparison same = welch_comparison({1, 1}, {1, 1, 1});
  EXPECT_EQ(same.p, 1.0);
  EXPECT_EQ(same.t, 0.0);
  const Comparison apart = welch_comparison({1, 1}, {2, 2});
  EXPECT_EQ(apart.p, 0.0);
  EXPECT_EQ(apart.t, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(apart.interval.low, -1.0);
  EXPECT_TRUE(apart.is_negative());
  EXPECT_THROW((void)welch_comparison({1}, {1, 2}), Error);
  EXPECT_THROW((void)welch_comparison({1, 2}, {}), Error);
}

TEST(Paired, AgainstSciPy) {
  // scipy.stats.ttest_rel(a, b) and its confidence_interval()
  const Comparison c = paired_comparison(kFirst, {0.88, 0.95, 0.86, 0.90, 0.91});
  EXPECT_NEAR(c.difference, 0.026, 1e-14);
  EXPECT_NEAR(c.t, 1.9598237397554648, 1e-12);
  EXPECT_EQ(c.degrees, 4.0);
  EXPECT_NEAR(c.p, 0.12157920965640168, 1e-12);
  EXPECT_NEAR(c.interval.low, -0.010833706659839612, 1e-12);
  EXPECT_NEAR(c.interval.high, 0.06283370665983962, 1e-12);
  EXPECT_FALSE(c.is_positive() || c.is_negative());
  EXPECT_THROW((void)paired_comparison({1, 2}, {1, 2, 3}), Error);
  EXPECT_THROW((void)paired_comparison({1}, {1}), Error);
}

TEST(Line, AgainstSciPy) {
  // scipy.stats.linregress, and slope +- t(0.975, 3) stderr
  const LineFit fit = fit_line({8, 16, 24, 32, 64}, {2.1, 3.9, 5.2, 7.4, 14.8});
  EXPECT_NEAR(fit.slope, 0.22799657534246578, 1e-14);
  EXPECT_NEAR(fit.intercept, 0.11369863013698644, 1e-13);
  EXPECT_NEAR(fit.r_squared, 0.9979124462949197, 1e-13);
  ASSERT_TRUE(fit.slope_interval);
  EXPECT_NEAR(fit.slope_interval->low, 0.20883631569347305, 1e-12);
  EXPECT_NEAR(fit.slope_interval->high, 0.24715683499145852, 1e-12);
}

TEST(Line, ExactPointsAndTwo) {
  const LineFit two = fit_line({1, 3}, {5, 9});
  EXPECT_EQ(two.slope, 2.0);
  EXPECT_EQ(two.intercept, 3.0);
  EXPECT_EQ(two.at(10), 23.0);
  EXPECT_FALSE(two.slope_interval);
  const LineFit flat = fit_line({1, 2, 3}, {4, 4, 4});
  EXPECT_EQ(flat.slope, 0.0);
  EXPECT_EQ(flat.r_squared, 1.0);
  EXPECT_TRUE(flat.slope_interval->holds(0.0));
  EXPECT_THROW((void)fit_line({1, 1}, {2, 3}), Error);
  EXPECT_THROW((void)fit_line({1}, {2}), Error);
  EXPECT_THROW((void)fit_line({1, 2}, {2}), Error);
  EXPECT_THROW((void)fit_line({std::nan(""), 2}, {2, 3}), Error);
}

TEST(Quantile, AgainstNumPy) {
  const std::vector<double> values = {3, 1, 4, 1, 5, 9, 2, 6};
  const std::pair<double, double> expected[] = {{0.0, 1.0}, {0.025, 1.0}, {0.1, 1.0},
                                                {0.5, 3.5}, {0.9, 6.9},   {1.0, 9.0}};
  for (const auto& [share, value] : expected) {
    EXPECT_NEAR(quantile(values, share), value, 1e-12) << share;
  }
  EXPECT_EQ(quantile({7}, 0.3), 7.0);
  EXPECT_THROW((void)quantile({}, 0.5), Error);
  EXPECT_THROW((void)quantile({1, std::nan("")}, 0.5), Error);
  EXPECT_THROW((void)quantile({1}, 1.5), Error);
}

TEST(EmpiricalP, ByHand) {
  // One of four values is as high as 4, with itself 2 of 5 on each side that is nearer.
  const std::vector<double> values = {1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(empirical_p_value(values, 4), 2.0 * 2.0 / 5.0);
  EXPECT_DOUBLE_EQ(empirical_p_value(values, 9), 2.0 * 1.0 / 5.0);
  EXPECT_DOUBLE_EQ(empirical_p_value(values, 0), 2.0 * 1.0 / 5.0);
  EXPECT_DOUBLE_EQ(empirical_p_value(values, 2.5), 1.0);
  EXPECT_DOUBLE_EQ(empirical_p_value({5, 5, 5}, 5), 1.0);
  EXPECT_THROW((void)empirical_p_value({}, 1), Error);
  EXPECT_THROW((void)empirical_p_value({1}, std::nan("")), Error);
}

// What the intervals promise, over many samples: between 94 and 96 % of them hold the truth. Four
// thousand samples leave a standard deviation of 0.35 %.
TEST(Coverage, OfIntervalsOverManySamples) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  int mean_holds = 0;
  int difference_holds = 0;
  int slope_holds = 0;
  const int samples = 4000;
  const std::vector<double> x = {1, 2, 3, 5, 8};
  for (int sample = 0; sample < samples; ++sample) {
    std::vector<double> a;
    std::vector<double> b;
    for (std::size_t n = 0; n < x.size(); ++n) {
      a.push_back(3.0 + normal(random));
      b.push_back(-2.0 * x[n] + normal(random));
    }
    const Estimate e = estimate(a);
    mean_holds += e.low() <= 3.0 && 3.0 <= e.high() ? 1 : 0;
    std::vector<double> wide = {2.0 * normal(random), 2.0 * normal(random), 2.0 * normal(random),
                                2.0 * normal(random), 2.0 * normal(random), 2.0 * normal(random)};
    difference_holds += welch_comparison(a, wide).interval.holds(3.0) ? 1 : 0;
    slope_holds += fit_line(x, b).slope_interval->holds(-2.0) ? 1 : 0;
  }
  for (const int holds : {mean_holds, difference_holds, slope_holds}) {
    EXPECT_NEAR(holds, 0.95 * samples, 0.0125 * samples);
  }
}

}  // namespace
}  // namespace basin::statistics

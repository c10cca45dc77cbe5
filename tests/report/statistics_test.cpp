// Means, spreads and intervals against values from tables and from hand calculation.
#include "tools/report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/error.h"

namespace basin::report {
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
  EXPECT_EQ(mean_and_sd_text(one), "0.5000");
  EXPECT_EQ(interval_text(one), "-");
  EXPECT_THROW((void)estimate({}), Error);
}

TEST(Estimate, Texts) {
  const Estimate e = estimate({0.25, 0.75});
  EXPECT_EQ(mean_and_sd_text(e), "0.5000 ± 0.3536");
  EXPECT_EQ(interval_text(e), "[-2.6766, 3.6766]");
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

}  // namespace
}  // namespace basin::report

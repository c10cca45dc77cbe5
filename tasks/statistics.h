// What several measurements of one quantity say about it, and about the difference of two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace basin::statistics {

/// Mean, spread and uncertainty of independent measurements, such as the accuracy of runs that
/// differ in their seed.
struct Estimate {
  std::size_t n = 0;
  double mean = 0.0;
  std::optional<double> sd;          ///< sqrt(sum (x - mean)^2 / (n - 1)); from two on
  std::optional<double> half_width;  ///< of the 95 % interval around the mean; from two on

  double low() const { return mean - half_width.value_or(0.0); }
  double high() const { return mean + half_width.value_or(0.0); }
};

/// The interval is mean +- t sd / sqrt(n), t the 0.975 quantile of Student's distribution with n -
/// 1 degrees of freedom (Student, "The probable error of a mean", Biometrika 6, 1908): over many
/// samples of a normal distribution 95 % of such intervals hold its mean. Throws Error if there is
/// no value.
Estimate estimate(const std::vector<double>& values);

/// Whether the mean is more than three standard deviations on the wrong side of `chance`; never for
/// a single value. Guessing does not do that; a mistake in data or metric does.
bool is_far_below_chance(const Estimate& estimate, double chance, bool higher_is_better);

/// The value that a variable of Student's distribution stays below with this probability, which is
/// inside (0, 1). Throws Error for other probabilities and for degrees that are not above 0.
double students_t_quantile(double probability, double degrees_of_freedom);

struct Interval {
  double low = 0.0;
  double high = 0.0;

  bool holds(double value) const { return low <= value && value <= high; }
};

/// The 95 % interval of a proportion that was seen as `successes` of `trials` (E. B. Wilson,
/// "Probable inference", JASA 22, 1927), inside [0, 1] and of use at 0 and at all successes, where
/// the normal interval is a point. Throws Error unless 0 <= successes <= trials and trials > 0.
Interval wilson_interval(std::int64_t successes, std::int64_t trials);

/// One sample against another, or differences against 0.
struct Comparison {
  double difference = 0.0;  ///< mean of the first minus mean of the second
  Interval interval;        ///< its 95 % interval
  double t = 0.0;           ///< difference / standard error; infinite if nothing varies
  double degrees = 0.0;     ///< of freedom
  double p = 1.0;           ///< two-sided: how often chance alone gives a |t| as large

  /// Whether the interval lies on one side of 0.
  bool is_positive() const { return interval.low > 0.0; }
  bool is_negative() const { return interval.high < 0.0; }
};

/// Two independent samples whose variances may differ (B. L. Welch, "The generalization of
/// Student's problem", Biometrika 34, 1947; the degrees of freedom are those of Satterthwaite,
/// 1946). If neither varies, the interval is a point and p is 0 or, without a difference, 1. Throws
/// Error for a sample with fewer than two values.
Comparison welch_comparison(const std::vector<double>& first, const std::vector<double>& second);

/// Pairs, such as two methods with the same seed: Student's t of the differences first - second.
/// Throws Error unless both have the same length of two or more.
Comparison paired_comparison(const std::vector<double>& first, const std::vector<double>& second);

/// y = intercept + slope x by least squares.
struct LineFit {
  std::size_t n = 0;
  double slope = 0.0;
  double intercept = 0.0;
  /// Student's 95 % interval with n - 2 degrees of freedom, for independent normal errors of equal
  /// variance (N. R. Draper, H. Smith, "Applied regression analysis", section 1.4); from three on.
  std::optional<Interval> slope_interval;
  double r_squared =
      0.0;  ///< the share of the variance of y that the line explains; 1 if y is flat

  double at(double x) const { return intercept + slope * x; }
};

/// Throws Error unless there are as many x as y, two or more, and two different x.
LineFit fit_line(const std::vector<double>& x, const std::vector<double>& y);

/// The value below which `share` of the values lie, between neighbours by a straight line: type 7
/// of R. J. Hyndman, Y. Fan, "Sample quantiles in statistical packages", 1996, as in R and NumPy.
/// Throws Error without values, for NaN and for a share outside [0, 1].
double quantile(std::vector<double> values, double share);

/// How often values drawn as ours would be as far out as `observed`, on either side: 2 min(r_low,
/// r_high) / (n + 1), at most 1, with r the number of values as low (as high) as the observed one,
/// itself counted (A. C. Davison, D. V. Hinkley, "Bootstrap methods", 1997, section 4.2.5; B. V.
/// North, D. Curtis, P. C. Sham, 2002: why 1 is added). Never 0: n values cannot show less than
/// 2 / (n + 1). Throws Error without values and for NaN.
double empirical_p_value(const std::vector<double>& values, double observed);

}  // namespace basin::statistics

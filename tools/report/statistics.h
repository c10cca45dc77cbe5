// What several measurements of one quantity say about it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace basin::report {

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

/// The value that a variable of Student's distribution stays below with this probability, which is
/// inside (0, 1). Throws Error for other probabilities and for degrees that are not above 0.
double students_t_quantile(double probability, double degrees_of_freedom);

/// "0.9513 ± 0.0042", without the second half where there is one value only.
std::string mean_and_sd_text(const Estimate& estimate);
/// "[0.9409, 0.9617]", or "-" where there is one value only.
std::string interval_text(const Estimate& estimate);

/// Whether the mean is more than three standard deviations on the wrong side of `chance`; never for
/// a single value. Guessing does not do that; a mistake in data or metric does.
bool is_far_below_chance(const Estimate& estimate, double chance, bool higher_is_better);

}  // namespace basin::report

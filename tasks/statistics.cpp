#include "tasks/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "tensor/error.h"

namespace basin::statistics {

namespace {

constexpr double kTail = 0.975;

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double variance_of(const std::vector<double>& values) {
  const Estimate e = estimate(values);
  return *e.sd * *e.sd;
}

// From a difference, its standard error and the degrees of freedom of that.
Comparison compared(double difference, double error, double degrees) {
  Comparison c;
  c.difference = difference;
  c.degrees = degrees;
  if (error == 0.0) {
    c.interval = {difference, difference};
    c.t = difference == 0.0 ? 0.0
                            : std::copysign(std::numeric_limits<double>::infinity(), difference);
    c.p = difference == 0.0 ? 1.0 : 0.0;
    return c;
  }
  const double half = students_t_quantile(kTail, degrees) * error;
  c.interval = {difference - half, difference + half};
  c.t = difference / error;
  c.p = 2.0 *
        boost::math::cdf(boost::math::complement(boost::math::students_t(degrees), std::abs(c.t)));
  return c;
}

void check_values(const char* who, const std::vector<double>& values) {
  if (values.empty()) {
    fail("[{}] no values", who);
  }
  if (std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); })) {
    fail("[{}] a value is NaN, which has no place in an order", who);
  }
}

}  // namespace

double students_t_quantile(double probability, double degrees_of_freedom) {
  if (!(probability > 0.0 && probability < 1.0)) {
    fail("[students_t_quantile] the probability must be inside (0, 1), not {}", probability);
  }
  if (!(degrees_of_freedom > 0.0) || !std::isfinite(degrees_of_freedom)) {
    fail("[students_t_quantile] the degrees of freedom must be above 0, not {}",
         degrees_of_freedom);
  }
  return boost::math::quantile(boost::math::students_t(degrees_of_freedom), probability);
}

Estimate estimate(const std::vector<double>& values) {
  if (values.empty()) {
    fail("[estimate] no values");
  }
  const auto n = static_cast<double>(values.size());
  Estimate result;
  result.n = values.size();
  result.mean = mean_of(values);
  if (values.size() < 2) {
    return result;
  }
  // The differences, not sum x^2 - n mean^2: that loses all digits where values lie close together.
  double squares = 0.0;
  for (const double value : values) {
    squares += (value - result.mean) * (value - result.mean);
  }
  result.sd = std::sqrt(squares / (n - 1.0));
  result.half_width = students_t_quantile(kTail, n - 1.0) * *result.sd / std::sqrt(n);
  return result;
}

bool is_far_below_chance(const Estimate& e, double chance, bool higher_is_better) {
  const double shortfall = higher_is_better ? chance - e.mean : e.mean - chance;
  // Means of equal values differ from the value by rounding.
  const double rounding = 1e-12 * std::abs(chance);
  return e.sd && shortfall > 3.0 * *e.sd + rounding;
}

Interval wilson_interval(std::int64_t successes, std::int64_t trials) {
  if (trials <= 0 || successes < 0 || successes > trials) {
    fail("[wilson_interval] {} successes of {} trials", successes, trials);
  }
  const double z = 1.959963984540054;  // the normal distribution's 0.975 quantile
  const auto n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n;
  const double scale = 1.0 + z * z / n;
  const double centre = (share + z * z / (2.0 * n)) / scale;
  const double half = z / scale * std::sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n));
  // Rounding must not take the ends off 0 and 1.
  return {successes == 0 ? 0.0 : centre - half, successes == trials ? 1.0 : centre + half};
}

Comparison welch_comparison(const std::vector<double>& first, const std::vector<double>& second) {
  if (first.size() < 2 || second.size() < 2) {
    fail("[welch_comparison] samples of {} and {} values; each must have two", first.size(),
         second.size());
  }
  const auto n = static_cast<double>(first.size());
  const auto m = static_cast<double>(second.size());
  const double a = variance_of(first) / n;
  const double b = variance_of(second) / m;
  const double degrees =
      a + b > 0.0 ? (a + b) * (a + b) / (a * a / (n - 1.0) + b * b / (m - 1.0)) : n + m - 2.0;
  return compared(mean_of(first) - mean_of(second), std::sqrt(a + b), degrees);
}

Comparison paired_comparison(const std::vector<double>& first, const std::vector<double>& second) {
  if (first.size() != second.size() || first.size() < 2) {
    fail("[paired_comparison] {} and {} values; there must be two pairs or more", first.size(),
         second.size());
  }
  std::vector<double> differences;
  for (std::size_t n = 0; n < first.size(); ++n) {
    differences.push_back(first[n] - second[n]);
  }
  const Estimate e = estimate(differences);
  const auto n = static_cast<double>(e.n);
  return compared(e.mean, *e.sd / std::sqrt(n), n - 1.0);
}

LineFit fit_line(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.size() != y.size() || x.size() < 2) {
    fail("[fit_line] {} x and {} y; there must be two points or more", x.size(), y.size());
  }
  const double x_mean = mean_of(x);
  const double y_mean = mean_of(y);
  double xx = 0.0;
  double xy = 0.0;
  double yy = 0.0;
  for (std::size_t n = 0; n < x.size(); ++n) {
    xx += (x[n] - x_mean) * (x[n] - x_mean);
    xy += (x[n] - x_mean) * (y[n] - y_mean);
    yy += (y[n] - y_mean) * (y[n] - y_mean);
  }
  if (!(xx > 0.0)) {
    fail("[fit_line] all x are {}, or one is no number: there is no line", x.front());
  }
  LineFit fit;
  fit.n = x.size();
  fit.slope = xy / xx;
  fit.intercept = y_mean - fit.slope * x_mean;
  double rest = 0.0;
  for (std::size_t n = 0; n < x.size(); ++n) {
    rest += (y[n] - fit.at(x[n])) * (y[n] - fit.at(x[n]));
  }
  fit.r_squared = yy > 0.0 ? 1.0 - rest / yy : 1.0;
  if (x.size() > 2) {
    const double degrees = static_cast<double>(x.size()) - 2.0;
    const double half = students_t_quantile(kTail, degrees) * std::sqrt(rest / degrees / xx);
    fit.slope_interval = Interval{fit.slope - half, fit.slope + half};
  }
  return fit;
}

double quantile(std::vector<double> values, double share) {
  check_values("quantile", values);
  if (!(share >= 0.0 && share <= 1.0)) {
    fail("[quantile] the share must be in [0, 1], not {}", share);
  }
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const double part = place - static_cast<double>(below);
  // Not a sum with weight 0: the neighbour may be infinite.
  return part == 0.0 ? values[below] : values[below] + part * (values[below + 1] - values[below]);
}

double empirical_p_value(const std::vector<double>& values, double observed) {
  check_values("empirical_p_value", values);
  check_values("empirical_p_value", {observed});
  const auto count = [&](auto as_far) {
    return 1.0 + static_cast<double>(std::count_if(values.begin(), values.end(), as_far));
  };
  const double low = count([&](double v) { return v <= observed; });
  const double high = count([&](double v) { return v >= observed; });
  return std::min(1.0, 2.0 * std::min(low, high) / (static_cast<double>(values.size()) + 1.0));
}

}  // namespace basin::statistics

#include "tools/report/statistics.h"

#include <fmt/format.h>

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

#include "tensor/error.h"

namespace basin::report {

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
  result.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  if (values.size() < 2) {
    return result;
  }
  // The differences, not sum x^2 - n mean^2: that loses all digits where values lie close together.
  double squares = 0.0;
  for (const double value : values) {
    squares += (value - result.mean) * (value - result.mean);
  }
  result.sd = std::sqrt(squares / (n - 1.0));
  result.half_width = students_t_quantile(0.975, n - 1.0) * *result.sd / std::sqrt(n);
  return result;
}

std::string mean_and_sd_text(const Estimate& e) {
  return e.sd ? fmt::format("{:.4f} ± {:.4f}", e.mean, *e.sd) : fmt::format("{:.4f}", e.mean);
}

std::string interval_text(const Estimate& e) {
  return e.half_width ? fmt::format("[{:.4f}, {:.4f}]", e.low(), e.high()) : "-";
}

bool is_far_below_chance(const Estimate& e, double chance, bool higher_is_better) {
  const double shortfall = higher_is_better ? chance - e.mean : e.mean - chance;
  // Means of equal values differ from the value by rounding.
  const double rounding = 1e-12 * std::abs(chance);
  return e.sd && shortfall > 3.0 * *e.sd + rounding;
}

}  // namespace basin::report

#include "kernels/association/row_diagnostics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace basin::kernels {

double weights_entropy(const double* weights, std::int64_t count) {
  const double sum = std::accumulate(weights, weights + count, 0.0);
  if (!(sum > 0) || !std::isfinite(sum)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  double entropy = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    const double p = weights[j] / sum;
    entropy -= p > 0 ? p * std::log(p) : 0;
  }
  return entropy;
}

bool standardise(const double* scores, std::int64_t count, double* standardised) {
  std::fill(standardised, standardised + count, 0.0);
  if (count == 0) {
    return false;
  }
  const auto n = static_cast<double>(count);
  const double mean = std::accumulate(scores, scores + count, 0.0) / n;
  double squares = 0;
  double largest = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    squares += (scores[j] - mean) * (scores[j] - mean);
    largest = std::max(largest, std::abs(scores[j]));
  }
  const double deviation = std::sqrt(squares / n);
  if (!(deviation > 1e-12 * largest)) {
    return false;
  }
  for (std::int64_t j = 0; j < count; ++j) {
    standardised[j] = (scores[j] - mean) / deviation;
  }
  return true;
}

double softmax_entropy(const double* scores, std::int64_t count, double temperature) {
  if (count == 0) {
    return 0;
  }
  const double largest = *std::max_element(scores, scores + count);
  // With x = (s - max) / T: H = ln Z - sum e^x x / Z.
  double total = 0;
  double inner = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    const double x = (scores[j] - largest) / temperature;
    const double e = std::exp(x);
    total += e;
    inner += e > 0 ? e * x : 0;
  }
  return std::log(total) - inner / total;
}

double effective_temperature(const double* standardised, std::int64_t count, double entropy) {
  const auto [least, most] = std::minmax_element(standardised, standardised + count);
  if (count == 0 || *least == *most) {
    return kMostTemperature;
  }
  double low = std::log(kLeastTemperature);
  double high = std::log(kMostTemperature);
  if (!(entropy > softmax_entropy(standardised, count, kLeastTemperature))) {
    return entropy == entropy ? kLeastTemperature : entropy;
  }
  if (entropy >= softmax_entropy(standardised, count, kMostTemperature)) {
    return kMostTemperature;
  }
  while (high - low > 1e-9) {
    const double middle = (low + high) / 2;
    (softmax_entropy(standardised, count, std::exp(middle)) < entropy ? low : high) = middle;
  }
  return std::exp((low + high) / 2);
}

std::int64_t fewest_weights(const double* weights, std::int64_t count, double share,
                            double* scratch) {
  std::copy(weights, weights + count, scratch);
  std::sort(scratch, scratch + count, std::greater<>());
  const double sum = std::accumulate(scratch, scratch + count, 0.0);
  if (!(sum > 0)) {
    return 0;
  }
  // A uniform row of ten reaches 90 % with nine, whatever rounding makes of ten tenths.
  const double wanted = share * sum * (1 - 1e-12);
  double reached = 0;
  std::int64_t taken = 0;
  while (taken < count && reached < wanted) {
    reached += scratch[taken++];
  }
  return taken;
}

const char* name_of(Regime regime) {
  switch (regime) {
    case Regime::fixed_point: return "fixed point";
    case Regime::metastable: return "metastable";
    case Regime::global_average: return "global average";
  }
  return "?";
}

Regime regime_of(std::int64_t fewest, std::int64_t keys) {
  if (fewest <= 1) {
    return Regime::fixed_point;
  }
  return 2 * fewest <= keys ? Regime::metastable : Regime::global_average;
}

}  // namespace basin::kernels

#include "tools/profile_kernels/statistics.h"

#include <algorithm>
#include <cmath>

namespace basin::profile_kernels {

Spread spread_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(samples.size() - 1);
    const auto low = static_cast<std::size_t>(place);
    const std::size_t high = std::min(low + 1, samples.size() - 1);
    const double weight = place - std::floor(place);
    return samples[low] * (1 - weight) + samples[high] * weight;
  };
  return {at(0.5), at(0.1), at(0.9)};
}

}  // namespace basin::profile_kernels

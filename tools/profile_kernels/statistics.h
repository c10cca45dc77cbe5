// Medians and spreads of repeated measurements, and the clock.
#pragma once

#include <chrono>
#include <vector>

namespace basin::profile_kernels {

struct Spread {
  double median = 0, p10 = 0, p90 = 0;
};

/// Of at least one sample; between two samples it is interpolated.
Spread spread_of(std::vector<double> samples);

/// Seconds on a clock that only goes forward.
inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace basin::profile_kernels

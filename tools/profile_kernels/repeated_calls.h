// Samples of a call that is too short to be timed alone.
#pragma once

#include <cstdint>
#include <functional>

namespace basin::profile_kernels {

class RepeatedCalls {
 public:
  /// Finds how many calls take at least this long; also warms up.
  RepeatedCalls(std::function<void()> call, double min_seconds);

  /// In one sample.
  std::int64_t calls() const { return calls_; }
  /// Of one sample.
  double seconds_per_call() const { return sample(calls_) / static_cast<double>(calls_); }

 private:
  double sample(std::int64_t calls) const;

  std::function<void()> call_;
  std::int64_t calls_ = 1;
};

}  // namespace basin::profile_kernels

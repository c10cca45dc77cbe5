// Samples of a call that is too short to be timed alone.
#pragma once

#include <cstdint>
#include <functional>

#include "tensor/device.h"

namespace basin::profile_kernels {

class RepeatedCalls {
 public:
  /// Finds how many calls take at least this long; also warms up. Calls that queue work for a GPU
  /// are timed by events of its own.
  RepeatedCalls(std::function<void()> call, double min_seconds, Device device = Device::cpu);

  /// In one sample.
  std::int64_t calls() const { return calls_; }
  /// Of one sample.
  double seconds_per_call() const { return sample(calls_) / static_cast<double>(calls_); }

 private:
  double sample(std::int64_t calls) const;

  std::function<void()> call_;
  Device device_;
  std::int64_t calls_ = 1;
};

}  // namespace basin::profile_kernels

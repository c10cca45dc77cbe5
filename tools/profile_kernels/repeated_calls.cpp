#include "tools/profile_kernels/repeated_calls.h"

#include <algorithm>
#include <utility>

#include "kernels/cuda/runtime.h"
#include "tools/profile_kernels/statistics.h"

namespace basin::profile_kernels {

RepeatedCalls::RepeatedCalls(std::function<void()> call, double min_seconds, Device device)
    : call_(std::move(call)), device_(device) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  (void)sample(1);
  while (true) {
    const double seconds = sample(calls_);
    if (seconds >= min_seconds || calls_ >= kMost) {
      return;
    }
    // A little more than the proportion says, but at most tenfold: the first calls are slow.
    const double factor = std::min(10.0, 1.1 * min_seconds / std::max(seconds, 1e-9));
    calls_ = std::max(calls_ + 1, static_cast<std::int64_t>(static_cast<double>(calls_) * factor));
  }
}

double RepeatedCalls::sample(std::int64_t calls) const {
  if constexpr (kernels::kCudaBuilt) {
    if (device_ == Device::cuda) {
      kernels::CudaTimer timer;
      timer.start(cuda_context());
      for (std::int64_t n = 0; n < calls; ++n) {
        call_();
      }
      timer.stop(cuda_context());
      const double seconds = timer.seconds();
      synchronize(device_);  // tells of a kernel that failed
      return seconds;
    }
  }
  const double begin = seconds_now();
  for (std::int64_t n = 0; n < calls; ++n) {
    call_();
  }
  return seconds_now() - begin;
}

}  // namespace basin::profile_kernels

// What this machine can do at most, measured: multiplications, exponentials, memory.
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/common/dtype.h"
#include "tensor/device.h"

namespace basin::profile_kernels {

struct Ceilings {
  double flops = 0;  ///< per second, in registers; a fused multiply-add is two
  double exps = 0;   ///< per second, by the elementwise kernel on arrays in the first-level cache
  double bytes = 0;  ///< per second, read and written by memcpy beyond the last-level cache
  double tensor_flops = 0;  ///< per second, of a GPU's tensor cores in bf16; 0 on a CPU
};

/// In f32 where `dtype` is bf16, which has no arithmetic of its own. Measured on all threads of the
/// CPU or on the GPU, the best of `rounds` samples of at least `min_seconds`. `before_sample()` may
/// throw. The executor imitates a GPU and has no ceilings of its own: all are 0.
Ceilings measure_ceilings(Device device, DType dtype, std::int64_t last_level_cache,
                          std::int64_t rounds, double min_seconds,
                          const std::function<void()>& before_sample);

/// The shortest time in which the useful work can be done, and by which ceiling.
struct Floor {
  double seconds = 0;
  const char* ceiling = "";  ///< "fma", "tensor", "exp" or "copy"; "-" where nothing is known
};
/// `on_tensor_cores`: the flops are theirs, where there are any. Of ceilings that are all 0: 0
/// seconds.
Floor floor_of(double flops, double exps, double bytes, bool on_tensor_cores,
               const Ceilings& ceilings);

Ceilings highest(const Ceilings& a, const Ceilings& b);

}  // namespace basin::profile_kernels

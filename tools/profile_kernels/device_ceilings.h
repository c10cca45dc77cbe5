// What a GPU can do at most.
#pragma once

#include "tools/profile_kernels/ceilings.h"

namespace basin::profile_kernels {

/// As measure_ceilings, on the GPU. Throws Error if a kernel fails.
Ceilings measure_gpu_ceilings(DType dtype, std::int64_t cache, std::int64_t rounds,
                              double min_seconds, const std::function<void()>& before_sample);

/// Bytes of the second-level cache of the GPU; 0 where there is none.
std::int64_t gpu_cache();

}  // namespace basin::profile_kernels

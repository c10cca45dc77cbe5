// A loop that does nothing but multiply and add, in registers.
#pragma once

#include <cstdint>

#include "kernels/common/dtype.h"

namespace basin::profile_kernels {

/// Runs `rounds` rounds of independent fused multiply-adds with the widest registers of this
/// processor, and returns how many multiplications and additions these were. `dtype` is f32 or f64.
/// `sink` receives a value that depends on all of them.
double fma_loop(std::int64_t rounds, DType dtype, double& sink);

}  // namespace basin::profile_kernels

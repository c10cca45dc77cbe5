// Kernels whose accesses can be counted by hand, and their launches.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/common/context.h"
#include "kernels/common/status.h"

namespace basin::kernels::counting {

/// y[i] = x[i * stride + offset] for `threads` threads of one block.
Status read_strided(const float* x, float* y, int threads, int stride, int offset);
/// Sixteen bytes a thread, in one access.
Status read_packs(const float* x, float* y, int threads);
Status read_doubles(const double* x, double* y, int threads);
/// All threads read x[0].
Status read_one(const float* x, float* y, int threads);
/// Lane i goes `turns` + i % 2 times through a loop that reads x[turn * 32 + i].
Status read_in_a_loop(const float* x, float* y, int turns);
/// Only the lanes below `active` read.
Status read_by_some(const float* x, float* y, int active);
/// Each thread writes shared word i * stride and, behind a barrier, reads it.
Status share_strided(float* y, int stride);
/// The same for doubles, and for 16 bytes, one behind the other.
Status share_doubles(double* y);
Status share_packs(float* y);
/// Every thread adds 1 to *sum.
Status add_atomically(std::int64_t* sum, int threads);
/// 16 bytes a thread from x to shared memory by cp.async, of which `valid` are read.
Status copy_async_packs(const float* x, float* y, int valid);

}  // namespace basin::kernels::counting

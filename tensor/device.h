// Where a tensor lives and the context its kernels run in.
#pragma once

#include "kernels/common/thread_pool.h"

namespace basin {

/// The CPU is the only device of this version; the type keeps its place in the interfaces.
enum class Device : unsigned char { cpu };

constexpr const char* name_of(Device) { return "cpu"; }

/// The pool every CPU kernel runs on. Starts with as many threads as this process may use cores, or
/// as the environment variable BASIN_THREADS says.
const kernels::CpuContext& cpu_context();

/// Replaces the pool. Results do not depend on the number. Throws Error for threads < 1. Must not
/// be called while a kernel runs.
void set_threads(int threads);
int threads();

}  // namespace basin

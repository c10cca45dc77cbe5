// Running all blocks of a launch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/status.h"
#include "kernels/simt/context.h"
#include "kernels/simt/engine.h"

namespace basin::kernels::simt {

/// The body of a kernel with its arguments: call(object) is one thread's work.
struct KernelCall {
  void (*call)(const void* object);
  const void* object;
};

struct Grid {
  const char* name;  ///< of the kernel, for messages
  Index3 blocks;
  Index3 threads;
  std::size_t shared_bytes;  ///< dynamic shared memory of a block
};

/// Runs every thread of every block. A kernel that breaks a rule of CUDA (a divergent barrier, a
/// shuffle with a lane that has exited, too much shared memory, a deadlock) is stopped; the status
/// then has code kernel_fault and names kernel, block, thread and line.
Status run_grid(const Grid& grid, const SimtContext& context, const KernelCall& kernel);

}  // namespace basin::kernels::simt

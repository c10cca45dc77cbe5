// Running all blocks of a launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/common/status.h"
#include "kernels/simt/context.h"
#include "kernels/simt/engine.h"

namespace basin::kernels::simt {

/// The body of a kernel with its arguments: call(object) is one thread's work. `keep` makes a copy
/// of the arguments, for a launch that happens later or more than once.
struct KernelCall {
  template <class Object>
  KernelCall(void (*in_call)(const void*), const Object* in_object)
      : call(in_call), object(in_object), keep([](const void* from) -> std::shared_ptr<const void> {
          return std::make_shared<Object>(*static_cast<const Object*>(from));
        }) {}

  void (*call)(const void* object);
  const void* object;
  std::shared_ptr<const void> (*keep)(const void* object);
};

struct Grid {
  const char* name;  ///< of the kernel, for messages; static storage
  Index3 blocks;
  Index3 threads;
  std::size_t shared_bytes;  ///< dynamic shared memory of a block
};

/// Runs every thread of every block; while a Recording is being made (recording.h), the launch is
/// written down instead. A kernel that breaks a rule of CUDA (a divergent barrier, a shuffle with a
/// lane that has exited, too much shared memory, a deadlock) is stopped; the status then has code
/// kernel_fault and names kernel, block, thread and line.
Status run_grid(const Grid& grid, const SimtContext& context, const KernelCall& kernel);

/// Launches that run_grid() and others have begun since the program started.
std::int64_t launches();
void count_launch();

}  // namespace basin::kernels::simt

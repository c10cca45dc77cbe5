// Starting a kernel, without <<<>>>, so that the same source compiles for a GPU and for the
// executor.
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "kernels/common/context.h"
#include "kernels/common/device.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/status.h"
#ifdef __CUDACC__
#include "kernels/cuda/runtime.h"
#else
#include "kernels/simt/grid.h"
#endif

namespace basin::kernels {

/// How many threads run, and in which blocks.
struct LaunchShape {
  const char* name;  ///< of the kernel, for messages and profilers
  Index3 blocks{1, 1, 1};
  Index3 threads{1, 1, 1};       ///< of a block; at most 1024
  std::size_t shared_bytes = 0;  ///< dynamic shared memory of a block
};

#ifdef __CUDACC__

using DeviceContext = CudaContext;

/// Starts `kernel(arguments...)` on every thread. Returns when it is queued; what goes wrong while
/// it runs is reported later, by whoever waits for the stream.
template <class... Parameters, class... Arguments>
Status launch(const LaunchShape& shape, const CudaContext& context, void (*kernel)(Parameters...),
              Arguments&&... arguments) {
  cuda_range_begin(shape.name);
  cudaError_t error = cudaSuccess;
  if (shape.shared_bytes > kSharedWithoutAsking) {
    error = static_cast<cudaError_t>(
        cuda_allow_shared_memory(reinterpret_cast<const void*>(kernel), shape.shared_bytes));
  }
  if (error == cudaSuccess) {
    cudaLaunchConfig_t config{};
    config.gridDim = shape.blocks;
    config.blockDim = shape.threads;
    config.dynamicSmemBytes = shape.shared_bytes;
    config.stream = context.stream;
    error = cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
  }
  cuda_range_end();
  if (error == cudaSuccess && cuda_waits_after_launch()) {
    error = cudaStreamSynchronize(context.stream);
  }
  if (error == cudaSuccess) {
    return {};
  }
  return cuda_launch_failure(shape.name, {shape.blocks.x, shape.blocks.y, shape.blocks.z},
                             {shape.threads.x, shape.threads.y, shape.threads.z},
                             shape.shared_bytes, error);
}

#else

using DeviceContext = SimtContext;

/// Runs `kernel(arguments...)` on every thread and returns when all have ended.
template <class... Parameters, class... Arguments>
Status launch(const LaunchShape& shape, const SimtContext& context, void (*kernel)(Parameters...),
              Arguments&&... arguments) {
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> values;
  };
  const Call call{kernel, {std::forward<Arguments>(arguments)...}};
  const simt::KernelCall body{[](const void* object) {
                                const Call& c = *static_cast<const Call*>(object);
                                std::apply(c.kernel, c.values);
                              },
                              &call};
  return simt::run_grid({shape.name, shape.blocks, shape.threads, shape.shared_bytes}, context,
                        body);
}

#endif

}  // namespace basin::kernels

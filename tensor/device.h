// Where a tensor lives, and the contexts its kernels run in.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/common/context.h"
#include "tensor/error.h"

namespace basin {

/// cpu: vector kernels on host memory. cuda: a GPU. simt: the GPU's kernels run by the executor on
/// the CPU (kernels/simt), to study and to test them; its memory is the host's, but is only
/// touched as a GPU's would be.
enum class Device : unsigned char { cpu, cuda, simt };

const char* name_of(Device);

/// False for an unknown name.
bool parse(const std::string& name, Device&);

/// The GPU if one works, else the CPU: what `--device auto` means.
Device best_device();

/// Empty if kernels can run on the device; else why not and what to do.
std::string why_unavailable(Device);

/// The same as an Error.
void require(Device);

/// "NVIDIA H200 (compute capability 9.0, 139.8 GiB, driver for CUDA 13.0)"; empty for an
/// unavailable device. For the CPU and the executor what runs there.
std::string describe_device(Device);

/// The pool every CPU kernel runs on. Starts with as many threads as this process may use cores, or
/// as the environment variable BASIN_THREADS says.
const kernels::CpuContext& cpu_context();

/// The executor: blocks run on the CPU's pool. Tests change the order of threads through it.
kernels::SimtContext& simt_context();

/// All work on the GPU goes to this one stream.
const kernels::CudaContext& cuda_context();

/// Replaces the pool. Results do not depend on the number. Throws Error for threads < 1. Must not
/// be called while a kernel runs.
void set_threads(int threads);
int threads();

/// call(context) with the context of the device, one of CpuContext, SimtContext and CudaContext.
/// Throws Error for cuda in a build without it.
template <class F>
auto on_device(Device device, F&& call) {
  switch (device) {
    case Device::cpu: break;
    case Device::simt: return call(std::as_const(simt_context()));
    case Device::cuda:
      if constexpr (kernels::kCudaBuilt) {
        return call(cuda_context());
      } else {
        require(Device::cuda);
      }
  }
  return call(cpu_context());
}

/// Bytes that could still be allocated on a GPU that can be used; SIZE_MAX where it is not known.
std::size_t free_memory(Device);

/// How many kernels this program has started on a device so far, those of libraries and of captured
/// work included; on cuda a graph that is started counts as one. 0 for the CPU.
std::int64_t launches(Device);

/// Waits until everything queued on the device has run. Throws Error for a kernel that failed.
void synchronize(Device);

/// The same for the GPU, if it has been used at all.
void synchronize_gpu();

/// Bytes between the CPU and a device or inside one, in the order of its kernels. Returns when the
/// source may be changed; from a GPU to the CPU, when the bytes are there. Throws Error.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes);

}  // namespace basin

// What basin asks of a GPU besides running kernels: is there one, memory, transfers. No header of
// CUDA is needed to include this. The functions exist only where kCudaBuilt is true.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// The GPU that is used: the first one that CUDA shows (CUDA_VISIBLE_DEVICES chooses another).
struct CudaDevice {
  char name[256] = {};
  int major = 0, minor = 0;  ///< compute capability
  int multiprocessors = 0;
  int driver = 0;   ///< the CUDA version the driver supports, as 1000 major + 10 minor
  int runtime = 0;  ///< the one this build was made with
  std::size_t memory = 0;
  std::int64_t cache = 0;  ///< bytes, second level
};

/// Starts CUDA. Not ok without a driver, with one that is too old, without a GPU, and with a GPU
/// this build has no code for; the message says what was found and what to do. What is known of the
/// device is filled in either way. The message stays valid; every call answers the same.
Status cuda_device(CudaDevice& device);

/// "80 90a+PTX": the architectures this build has code for.
const char* cuda_architectures();

/// Memory of the GPU, aligned to 256 bytes. Not ok when it is exhausted; *block is null then.
Status cuda_allocate(void** block, std::size_t bytes);
/// Waits for the kernels that were queued before, as CUDA's own function does.
void cuda_release(void* block);
Status cuda_memory(std::size_t* free, std::size_t* total);

/// Copies that keep the order of the stream. Both ways go through pinned memory in pieces, so that
/// an upload returns as soon as the source may be changed and a download when the bytes are there.
Status cuda_upload(void* device, const void* host, std::size_t bytes, const CudaContext&);
Status cuda_download(void* host, const void* device, std::size_t bytes, const CudaContext&);
/// From GPU memory to GPU memory; returns when it is queued.
Status cuda_move(void* to, const void* from, std::size_t bytes, const CudaContext&);

/// Waits until everything queued has run. Tells of a kernel that failed meanwhile.
Status cuda_synchronize(const CudaContext&);

/// Lets `kernel` be launched with so many bytes of dynamic shared memory beside its static arrays,
/// if the card has as many. Returns a cudaError_t.
int cuda_allow_shared_memory(const void* kernel, std::size_t bytes);

/// What launch() answers when a kernel could not be started: names the kernel, its grid and block,
/// the card and the architectures built for. `error` is a cudaError_t.
Status cuda_launch_failure(const char* kernel, const unsigned (&blocks)[3],
                           const unsigned (&threads)[3], std::size_t shared_bytes, int error);

/// Whether each launch waits for its kernel, so that a failure names the kernel it happened in.
/// Off, unless the environment variable BASIN_CUDA_SYNC is 1.
bool cuda_waits_after_launch();

/// A named range on this thread, for profilers such as Nsight (NVTX): launch() puts one around
/// every kernel. Costs a few nanoseconds where no profiler looks.
void cuda_range_begin(const char* name);
void cuda_range_end();

/// Moments on a stream, for timing.
class CudaTimer {
 public:
  CudaTimer();
  ~CudaTimer();
  CudaTimer(const CudaTimer&) = delete;
  CudaTimer& operator=(const CudaTimer&) = delete;
  void start(const CudaContext&);
  void stop(const CudaContext&);
  /// Between start and stop; waits for stop.
  double seconds() const;

 private:
  void* begin_ = nullptr;
  void* end_ = nullptr;
};

}  // namespace basin::kernels

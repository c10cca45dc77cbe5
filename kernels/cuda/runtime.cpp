#include "kernels/cuda/runtime.h"

#include <cuda_runtime_api.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "kernels/cuda/architectures.h"
#include "kernels/cuda/graph.h"

#ifndef BASIN_CUDA_ARCHITECTURE_NAMES
#define BASIN_CUDA_ARCHITECTURE_NAMES "unknown"
#endif

namespace basin::kernels {

namespace {

// A Status points to its message: each thread keeps the last one it made.
template <class... Arguments>
Status failure(Status::Code code, const char* format, Arguments... arguments) {
  thread_local char text[1536];
  std::snprintf(text, sizeof text, format, arguments...);
  return {code, text, -1};
}

Status from(cudaError_t error, const char* what) {
  if (error == cudaSuccess) {
    return {};
  }
  (void)cudaGetLastError();  // or the next call would report it once more
  return failure(Status::Code::kernel_fault, "%s: CUDA says '%s' (%s)", what,
                 cudaGetErrorString(error), cudaGetErrorName(error));
}

struct Probe {
  CudaDevice device;
  std::size_t shared_bytes = 0;  // of a block that asks for more than 48 KiB
  Status status;
  char message[512] = {};

  template <class... Arguments>
  void refuse(Status::Code code, const char* format, Arguments... arguments) {
    std::snprintf(message, sizeof message, format, arguments...);
    status = {code, message, -1};
  }

  Probe() {
    (void)cudaRuntimeGetVersion(&device.runtime);
    if (cudaDriverGetVersion(&device.driver) != cudaSuccess || device.driver == 0) {
      refuse(Status::Code::unsupported,
             "no NVIDIA driver was found (libcuda.so.1); this build needs one for CUDA %d.%d",
             device.runtime / 1000, device.runtime % 1000 / 10);
      return;
    }
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver) {
      refuse(Status::Code::unsupported,
             "the NVIDIA driver is too old: it supports CUDA %d.%d, this build needs %d.%d",
             device.driver / 1000, device.driver % 1000 / 10, device.runtime / 1000,
             device.runtime % 1000 / 10);
      return;
    }
    if (error != cudaSuccess || count == 0) {
      (void)cudaGetLastError();
      refuse(Status::Code::unsupported,
             "the NVIDIA driver (CUDA %d.%d) shows no GPU: %s; CUDA_VISIBLE_DEVICES is %s",
             device.driver / 1000, device.driver % 1000 / 10, cudaGetErrorString(error),
             std::getenv("CUDA_VISIBLE_DEVICES") == nullptr ? "not set"
                                                            : std::getenv("CUDA_VISIBLE_DEVICES"));
      return;
    }
    cudaDeviceProp properties{};
    if (const cudaError_t got = cudaGetDeviceProperties(&properties, 0); got != cudaSuccess) {
      refuse(Status::Code::unsupported, "the GPU cannot be asked for its properties: %s",
             cudaGetErrorString(got));
      return;
    }
    std::snprintf(device.name, sizeof device.name, "%s", properties.name);
    device.major = properties.major;
    device.minor = properties.minor;
    device.multiprocessors = properties.multiProcessorCount;
    device.memory = properties.totalGlobalMem;
    device.cache = properties.l2CacheSize;
    shared_bytes = properties.sharedMemPerBlockOptin;
    if (properties.major < 8 ||
        !has_code_for(cuda_architectures(), properties.major, properties.minor)) {
      refuse(Status::Code::unsupported,
             "the GPU, %s, has compute capability %d.%d; this build has code for %s%s", device.name,
             device.major, device.minor, cuda_architectures(),
             properties.major < 8 ? " and needs 8.0 or later"
                                  : " (BASIN_CUDA_ARCHITECTURES); 80-real, say, runs on 8.x alone");
      return;
    }
    if (const cudaError_t set = cudaSetDevice(0); set != cudaSuccess) {
      refuse(Status::Code::unsupported, "the GPU, %s, cannot be used: %s", device.name,
             cudaGetErrorString(set));
    }
  }
};

const Probe& probe() {
  static const Probe done;
  return done;
}

// Two pieces of pinned memory: while one is on its way the other is filled.
class PinnedPieces {
 public:
  static constexpr std::size_t kBytes = std::size_t{4} << 20;

  ~PinnedPieces() = default;  // the driver may be gone at exit; the system takes the memory back

  // Pieces of `bytes` one after the other: `move(offset, size, pinned)` queues one. The mutex is
  // held meanwhile: pieces belong to one transfer at a time.
  template <class F>
  cudaError_t each(std::size_t bytes, cudaStream_t stream, F move) {
    for (std::size_t at = 0; at < bytes; at += kBytes) {
      Piece& piece = pieces_[next_];
      next_ = 1 - next_;
      cudaError_t error = prepare(piece);
      if (error == cudaSuccess) {
        error = move(at, std::min(kBytes, bytes - at), piece.memory);
      }
      if (error == cudaSuccess) {
        error = cudaEventRecord(piece.done, stream);
      }
      if (error != cudaSuccess) {
        return error;
      }
    }
    return cudaSuccess;
  }

  std::mutex mutex;

 private:
  struct Piece {
    void* memory = nullptr;
    cudaEvent_t done = nullptr;
  };

  static cudaError_t prepare(Piece& piece) {
    if (piece.memory != nullptr) {
      return cudaEventSynchronize(piece.done);
    }
    cudaError_t error = cudaMallocHost(&piece.memory, kBytes);
    if (error == cudaSuccess) {
      error = cudaEventCreateWithFlags(&piece.done, cudaEventDisableTiming);
    }
    return error;
  }

  Piece pieces_[2];
  int next_ = 0;
};

PinnedPieces& pinned() {
  static PinnedPieces pieces;
  return pieces;
}

}  // namespace

Status cuda_device(CudaDevice& device) {
  device = probe().device;
  return probe().status;
}

const char* cuda_architectures() { return BASIN_CUDA_ARCHITECTURE_NAMES; }

Status cuda_allocate(void** block, std::size_t bytes) {
  *block = nullptr;
  return from(cudaMalloc(block, bytes), "allocating GPU memory");
}

void cuda_release(void* block) { (void)cudaFree(block); }

Status cuda_memory(std::size_t* free, std::size_t* total) {
  return from(cudaMemGetInfo(free, total), "asking for the memory of the GPU");
}

Status cuda_upload(void* device, const void* host, std::size_t bytes, const CudaContext& context) {
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  return from(pinned().each(bytes, context.stream,
                            [&](std::size_t at, std::size_t size, void* piece) {
                              std::memcpy(piece, static_cast<const std::byte*>(host) + at, size);
                              return cudaMemcpyAsync(static_cast<std::byte*>(device) + at, piece,
                                                     size, cudaMemcpyHostToDevice, context.stream);
                            }),
              "copying to the GPU");
}

Status cuda_download(void* host, const void* device, std::size_t bytes,
                     const CudaContext& context) {
  const std::lock_guard<std::mutex> lock(pinned().mutex);
  return from(pinned().each(bytes, context.stream,
                            [&](std::size_t at, std::size_t size, void* piece) {
                              cudaError_t error =
                                  cudaMemcpyAsync(piece, static_cast<const std::byte*>(device) + at,
                                                  size, cudaMemcpyDeviceToHost, context.stream);
                              if (error == cudaSuccess) {
                                error = cudaStreamSynchronize(context.stream);
                              }
                              if (error == cudaSuccess) {
                                std::memcpy(static_cast<std::byte*>(host) + at, piece, size);
                              }
                              return error;
                            }),
              "copying from the GPU");
}

Status cuda_move(void* to, const void* from_, std::size_t bytes, const CudaContext& context) {
  return from(cudaMemcpyAsync(to, from_, bytes, cudaMemcpyDeviceToDevice, context.stream),
              "copying on the GPU");
}

Status cuda_synchronize(const CudaContext& context) {
  return from(cudaStreamSynchronize(context.stream), "waiting for the GPU");
}

int cuda_allow_shared_memory(const void* kernel, std::size_t bytes) {
  cudaFuncAttributes now{};
  if (const cudaError_t error = cudaFuncGetAttributes(&now, kernel); error != cudaSuccess) {
    return error;
  }
  if (static_cast<std::size_t>(now.maxDynamicSharedSizeBytes) >= bytes) {
    return cudaSuccess;
  }
  // All that there is: the same number from every thread, whatever each of them needs.
  const std::size_t most =
      probe().shared_bytes - std::min(probe().shared_bytes, now.sharedSizeBytes);
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(most));
}

Status cuda_launch_failure(const char* kernel, const unsigned (&blocks)[3],
                           const unsigned (&threads)[3], std::size_t shared_bytes, int error) {
  (void)cudaGetLastError();
  const auto code = static_cast<cudaError_t>(error);
  const CudaDevice& device = probe().device;
  return failure(Status::Code::kernel_fault,
                 "kernel %s with %u x %u x %u blocks of %u x %u x %u threads and %zu bytes of "
                 "shared memory failed on %s (compute capability %d.%d; this build has code for "
                 "%s): %s (%s)",
                 kernel, blocks[0], blocks[1], blocks[2], threads[0], threads[1], threads[2],
                 shared_bytes, device.name, device.major, device.minor, cuda_architectures(),
                 cudaGetErrorString(code), cudaGetErrorName(code));
}

bool cuda_waits_after_launch() {
  static const bool waits = [] {
    const char* text = std::getenv("BASIN_CUDA_SYNC");
    return text != nullptr && std::strcmp(text, "1") == 0;
  }();
  return waits;
}

void cuda_range_begin(const char* name) {
  count_cuda_launch();
  nvtxRangePushA(name);
}
void cuda_range_end() { nvtxRangePop(); }

CudaTimer::CudaTimer() {
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  (void)cudaEventCreate(&begin);
  (void)cudaEventCreate(&end);
  begin_ = begin;
  end_ = end;
}

CudaTimer::~CudaTimer() {
  (void)cudaEventDestroy(static_cast<cudaEvent_t>(begin_));
  (void)cudaEventDestroy(static_cast<cudaEvent_t>(end_));
}

void CudaTimer::start(const CudaContext& context) {
  (void)cudaEventRecord(static_cast<cudaEvent_t>(begin_), context.stream);
}

void CudaTimer::stop(const CudaContext& context) {
  (void)cudaEventRecord(static_cast<cudaEvent_t>(end_), context.stream);
}

double CudaTimer::seconds() const {
  (void)cudaEventSynchronize(static_cast<cudaEvent_t>(end_));
  float milliseconds = 0;
  (void)cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(begin_),
                             static_cast<cudaEvent_t>(end_));
  return static_cast<double>(milliseconds) * 1e-3;
}

}  // namespace basin::kernels

#include "tensor/device.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "kernels/cuda/graph.h"
#include "kernels/cuda/runtime.h"
#include "kernels/simd/isa.h"
#include "kernels/simt/memory_guard.h"
#include "kernels/simt/recording.h"
#include "tensor/device_graph.h"
#include "tensor/error.h"

namespace basin {

namespace {

// hardware_concurrency() counts the machine's cores; a container or taskset may allow fewer.
int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int default_threads() {
  const char* text = std::getenv("BASIN_THREADS");
  if (text == nullptr || *text == '\0') {
    return usable_cores();
  }
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto result = std::from_chars(text, end, value);
  if (result.ec != std::errc{} || result.ptr != end || value < 1) {
    fail("BASIN_THREADS must be a positive number of threads; got '{}'", text);
  }
  return value;
}

struct Pool {
  std::unique_ptr<kernels::ThreadPool> pool;
  kernels::CpuContext context{};

  explicit Pool(int threads) {
    if (const kernels::Status status = kernels::isa_status(); !status.ok()) {
      fail("{}; the best it has is {}", status.message, kernels::name_of(kernels::isa()));
    }
    start(threads);
  }

  void start(int threads) {
    pool = std::make_unique<kernels::ThreadPool>(threads);
    context.pool = pool.get();
  }
};

Pool& the_pool() {
  static Pool pool(default_threads());
  return pool;
}

#ifdef BASIN_WITH_CUDA
std::string cuda_problem() {
  kernels::CudaDevice device;
  const kernels::Status status = kernels::cuda_device(device);
  return status.ok() ? "" : status.message;
}
#else
std::string cuda_problem() {
  return "this program was built without CUDA; build with the preset 'cuda', or use --device cpu "
         "(or simt, which runs the CUDA kernels on the CPU)";
}
#endif

}  // namespace

const char* name_of(Device device) {
  switch (device) {
    case Device::cpu: return "cpu";
    case Device::cuda: return "cuda";
    case Device::simt: return "simt";
  }
  return "?";
}

bool parse(const std::string& name, Device& device) {
  for (const Device known : {Device::cpu, Device::cuda, Device::simt}) {
    if (name == name_of(known)) {
      device = known;
      return true;
    }
  }
  return false;
}

Device best_device() { return why_unavailable(Device::cuda).empty() ? Device::cuda : Device::cpu; }

std::string why_unavailable(Device device) { return device == Device::cuda ? cuda_problem() : ""; }

void require(Device device) {
  if (const std::string problem = why_unavailable(device); !problem.empty()) {
    fail("the device '{}' cannot be used: {}", name_of(device), problem);
  }
}

std::string describe_device(Device device) {
  switch (device) {
    case Device::cpu: return fmt::format("{} threads", threads());
    case Device::simt: return fmt::format("CUDA kernels on {} threads of the CPU", threads());
    case Device::cuda: break;
  }
  if constexpr (kernels::kCudaBuilt) {
    kernels::CudaDevice d;
    if (kernels::cuda_device(d).ok()) {
      return fmt::format("{} (compute capability {}.{}, {:.1f} GiB, driver for CUDA {}.{})", d.name,
                         d.major, d.minor, static_cast<double>(d.memory) / (1 << 30),
                         d.driver / 1000, d.driver % 1000 / 10);
    }
  }
  return "";
}

const kernels::CpuContext& cpu_context() { return the_pool().context; }

kernels::SimtContext& simt_context() {
  static kernels::SimtContext context;
  context.pool = cpu_context().pool;  // which set_threads() may have replaced
  return context;
}

namespace {
std::atomic<bool> gpu_used = false;
}

const kernels::CudaContext& cuda_context() {
  // The first use tells why there is no GPU, wherever it comes from.
  static const kernels::CudaContext context = [] {
    require(Device::cuda);
    gpu_used = true;
    kernels::CudaContext made;
    if constexpr (kernels::kCudaBuilt) {
      if (const kernels::Status status = kernels::cuda_make_stream(made); !status.ok()) {
        fail("{}", status.message);
      }
    }
    return made;
  }();
  return context;
}

void synchronize_gpu() {
  if (gpu_used) {
    synchronize(Device::cuda);
  }
}

std::size_t free_memory([[maybe_unused]] Device device) {
  if constexpr (kernels::kCudaBuilt) {
    std::size_t free = 0;
    std::size_t total = 0;
    if (device == Device::cuda && why_unavailable(device).empty() &&
        kernels::cuda_memory(&free, &total).ok()) {
      return free;
    }
  }
  return SIZE_MAX;
}

std::int64_t launches(Device device) {
  if constexpr (kernels::kCudaBuilt) {
    if (device == Device::cuda) {
      return kernels::cuda_launches();
    }
  }
  return device == Device::simt ? kernels::simt::launches() : 0;
}

void synchronize(Device device) {
  refuse_in_capture(device, fmt::format("waiting for {}", name_of(device)));
  if constexpr (kernels::kCudaBuilt) {
    if (device == Device::cuda) {
      if (const kernels::Status status = kernels::cuda_synchronize(cuda_context()); !status.ok()) {
        fail("{}", status.message);
      }
    }
  }
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes) {
  if (bytes == 0) {
    return;
  }
  if (from_device == Device::cpu) {
    refuse_in_capture(to_device, fmt::format("copying {} bytes to {} from memory of the host, "
                                             "which may hold something else the next time",
                                             bytes, name_of(to_device)));
  } else if (to_device == Device::cpu) {
    refuse_in_capture(from_device,
                      fmt::format("reading {} bytes from {}", bytes, name_of(from_device)));
  } else if (is_capturing(Device::simt) && to_device == Device::simt) {
    kernels::simt::recording()->add_copy(to, from, bytes);
    return;
  }
  if (to_device != Device::cuda && from_device != Device::cuda) {
    const kernels::simt::OpenMemory open;
    std::memcpy(to, from, bytes);
    return;
  }
  if constexpr (kernels::kCudaBuilt) {
    const kernels::CudaContext& context = cuda_context();
    const kernels::Status status =
        from_device != Device::cuda ? kernels::cuda_upload(to, from, bytes, context)
        : to_device != Device::cuda ? kernels::cuda_download(to, from, bytes, context)
                                    : kernels::cuda_move(to, from, bytes, context);
    if (!status.ok()) {
      fail("{} bytes from {} to {}: {}", bytes, name_of(from_device), name_of(to_device),
           status.message);
    }
  } else {
    require(Device::cuda);
  }
}

void set_threads(int threads) {
  if (threads < 1) {
    fail("the number of threads must be at least 1; got {}", threads);
  }
  if (the_pool().pool->threads() != threads) {
    the_pool().start(threads);
  }
}

int threads() { return the_pool().pool->threads(); }

}  // namespace basin

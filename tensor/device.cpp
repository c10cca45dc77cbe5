#include "tensor/device.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "kernels/simd/isa.h"
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

}  // namespace

const kernels::CpuContext& cpu_context() { return the_pool().context; }

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

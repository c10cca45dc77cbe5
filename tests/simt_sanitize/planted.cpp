// Kernels with one mistake each, and correct ones beside them, for planted_test.py: built with a
// sanitizer, the program must say nothing about the correct ones and name the marked lines of the
// others.
#include <cstdio>
#include <cstring>
#include <vector>

#include "kernels/common/block_reduce.cuh"
#include "kernels/common/launch.h"
#include "kernels/common/ptx.cuh"
#include "kernels/common/ptx_matrix.cuh"

namespace {

using namespace basin::kernels;

constexpr unsigned kThreads = 64;

void correct(const int* x, int* y) {
  int* const s = shared<int, kThreads>();
  int* const total = shared<int, 1>();
  for (int round = 0; round < 3; ++round) {
    s[threadIdx.x] = x[threadIdx.x] + round;
    __syncthreads();
    y[threadIdx.x] = s[(threadIdx.x + 1) % kThreads];
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    *total = 0;
  }
  __syncthreads();
  atomicAdd(total, block_reduce<Sum>(1));
  __syncthreads();
  y[threadIdx.x] += *total;
}

void missing_barrier(const int* x, int* y) {
  int* const s = shared<int, kThreads>();
  s[threadIdx.x] = x[threadIdx.x];                              // LINE missing_barrier
  y[threadIdx.x] = s[(threadIdx.x + kThreads - 1) % kThreads];  // LINE missing_barrier
}

// The next round writes while other threads still read: needs a second place per barrier to be
// seen.
void missing_second_barrier(const int* x, int* y) {
  int* const s = shared<int, kThreads>();
  for (int round = 0; round < 3; ++round) {
    s[threadIdx.x] = x[threadIdx.x] + round;  // LINE missing_second_barrier
    __syncthreads();
    y[threadIdx.x] = s[(threadIdx.x + 1) % kThreads];  // LINE missing_second_barrier
  }
}

// A shuffle makes lanes meet but does not order their memory.
void shuffle_is_no_barrier(const int* x, int* y) {
  int* const s = shared<int, kThreads>();
  s[threadIdx.x] = x[threadIdx.x];  // LINE shuffle_is_no_barrier
  const int other = __shfl_xor_sync(kAllLanes, x[threadIdx.x], 1);
  y[threadIdx.x] = other + s[threadIdx.x ^ 1u];  // LINE shuffle_is_no_barrier
}

// Each lane reads what others of its warp have written.
void matrix_without_wait(const int* x, int* y) {
  std::uint16_t* const s = shared<std::uint16_t, 2 * kThreads>();
  s[2 * threadIdx.x] = static_cast<std::uint16_t>(x[threadIdx.x]);  // LINE matrix_without_wait
  s[2 * threadIdx.x + 1] = 0;
  std::uint32_t got[1];
  load_matrices(got, s + threadIdx.x / 32 * 64 + threadIdx.x % 8 * 8);  // LINE matrix_without_wait
  y[threadIdx.x] = static_cast<int>(got[0]);
}

void race_in_global_memory(const int* x, int* y) {
  y[0] = x[threadIdx.x];  // LINE race_in_global_memory
}

void static_overrun(const int* x, int* y) {
  int* const s = shared<int, kThreads>();
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x + 1];  // LINE static_overrun
}

void dynamic_overrun(const int* x, int*) {
  int* const s = dynamic_shared<int>();
  s[threadIdx.x + (threadIdx.x == 63 ? 1 : 0)] = x[threadIdx.x];  // LINE dynamic_overrun
}

void async_overrun(const int* x, int*) {
  int* const s = dynamic_shared<int>();
  copy_async<4>(s + threadIdx.x + (threadIdx.x == 63 ? 1 : 0), x);  // LINE async_overrun
  copy_async_commit();
  copy_async_wait<0>();
}

void matrix_overrun(const int*, int* y) {
  std::uint16_t* const s = shared<std::uint16_t, 64>();
  std::uint32_t got[1];
  load_matrices(got, s + (threadIdx.x % 8 + 1) * 8);  // LINE matrix_overrun
  y[threadIdx.x] = static_cast<int>(got[0]);
}

void divergent(const int*, int*) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  }
}

struct Named {
  const char* name;
  void (*kernel)(const int*, int*);
};
constexpr Named kKernels[] = {{"correct", correct},
                              {"missing_barrier", missing_barrier},
                              {"missing_second_barrier", missing_second_barrier},
                              {"shuffle_is_no_barrier", shuffle_is_no_barrier},
                              {"matrix_without_wait", matrix_without_wait},
                              {"race_in_global_memory", race_in_global_memory},
                              {"static_overrun", static_overrun},
                              {"dynamic_overrun", dynamic_overrun},
                              {"async_overrun", async_overrun},
                              {"matrix_overrun", matrix_overrun},
                              {"divergent", divergent}};

int run(void (*kernel)(const int*, int*), const SimtContext& context) {
  std::vector<int> x(kThreads, 1);
  std::vector<int> y(kThreads);
  const Status status = launch({"planted", {1, 1, 1}, {kThreads, 1, 1}, kThreads * sizeof(int)},
                               context, kernel, x.data(), y.data());
  std::printf("%s y[3] = %d\n", status.ok() ? "ok" : status.message, y[3]);
  return status.ok() ? 0 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(2);
  for (const Named& named : kKernels) {
    if (argc == 2 && std::strcmp(named.name, argv[1]) == 0) {
      int status = 0;
      for (const Schedule schedule : {Schedule::forward, Schedule::reversed, Schedule::random}) {
        SimtContext context;
        context.schedule = schedule;
        status = run(named.kernel, context);
        context.pool = &pool;
        status = run(named.kernel, context);
      }
      return status;
    }
  }
  std::fprintf(stderr, "usage: planted KERNEL\n");
  return 2;
}

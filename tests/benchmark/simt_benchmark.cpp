// What the executor takes for a turn of a thread, and for starting one.
#include <benchmark/benchmark.h>

#include "kernels/common/launch.h"

namespace basin::kernels {
namespace {

void nothing() {}

void barriers(int count) {
  for (int i = 0; i < count; ++i) {
    __syncthreads();
  }
}

void shuffles(int count, float* sum) {
  float value = 1;
  for (int i = 0; i < count; ++i) {
    value = __shfl_xor_sync(kAllLanes, value, 1);
  }
  sum[threadIdx.x] = value;
}

void report(benchmark::State& state, const LaunchCounts& counts) {
  using benchmark::Counter;
  state.counters["s_per_switch"] =
      Counter(static_cast<double>(counts.switches), Counter::kIsRate | Counter::kInvert);
  state.counters["s_per_thread"] =
      Counter(static_cast<double>(counts.threads), Counter::kIsRate | Counter::kInvert);
}

SimtContext context_of(const benchmark::State& state, LaunchCounts& counts) {
  SimtContext context;
  context.schedule = static_cast<Schedule>(state.range(1));
  context.counts = &counts;
  return context;
}

LaunchShape shape_of(const benchmark::State& state) {
  return {"benchmark", {4, 1, 1}, {static_cast<unsigned>(state.range(0)), 1, 1}};
}

void start_threads(benchmark::State& state) {
  LaunchCounts counts;
  const SimtContext context = context_of(state, counts);
  for (auto _ : state) {
    launch(shape_of(state), context, nothing);
  }
  report(state, counts);
}

void block_barriers(benchmark::State& state) {
  LaunchCounts counts;
  const SimtContext context = context_of(state, counts);
  for (auto _ : state) {
    launch(shape_of(state), context, barriers, 100);
  }
  report(state, counts);
}

void warp_shuffles(benchmark::State& state) {
  LaunchCounts counts;
  const SimtContext context = context_of(state, counts);
  float sum[1024];
  for (auto _ : state) {
    launch(shape_of(state), context, shuffles, 100, &sum[0]);
  }
  report(state, counts);
}

// Threads of a block; forward, reversed and random order.
void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"threads", "order"});
  for (const int threads : {32, 128, 256, 1024}) {
    b->Args({threads, 0});
  }
  b->Args({256, 1})->Args({256, 2});
}

BENCHMARK(start_threads)->Apply(sizes);
BENCHMARK(block_barriers)->Apply(sizes);
BENCHMARK(warp_shuffles)->Apply(sizes);

}  // namespace
}  // namespace basin::kernels

BENCHMARK_MAIN();

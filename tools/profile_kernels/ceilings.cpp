#include "tools/profile_kernels/ceilings.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/elementwise/elementwise.h"
#include "tools/profile_kernels/device_ceilings.h"
#include "tools/profile_kernels/fma_loop.h"
#include "tools/profile_kernels/statistics.h"

namespace basin::profile_kernels {

namespace {

using kernels::CpuContext;

struct Sampling {
  std::int64_t rounds;
  double min_seconds;
  const std::function<void()>& before_sample;
};

// The most work per second of all samples; work(times) does it that often and tells how much it
// was. The best and not the median, because a ceiling is what nothing disturbs.
template <class Work>
double best_rate(const Sampling& sampling, Work&& work) {
  std::int64_t times = 1;
  double best = 0;
  for (std::int64_t round = 0; round < sampling.rounds;) {
    sampling.before_sample();
    const double begin = seconds_now();
    const double done = work(times);
    const double seconds = seconds_now() - begin;
    if (seconds < sampling.min_seconds) {
      times *= 2;
      continue;
    }
    best = std::max(best, done / seconds);
    ++round;
  }
  return best;
}

double fma_rate(DType dtype, const Sampling& sampling, const CpuContext& context) {
  const auto threads = static_cast<std::size_t>(context.pool->threads());
  // A line of the cache for each thread.
  std::vector<double> sinks(threads * 8);
  const double rate = best_rate(sampling, [&](std::int64_t times) {
    std::vector<double> done(threads);
    context.pool->run(static_cast<std::int64_t>(threads), [&](std::int64_t chunk) {
      const auto at = static_cast<std::size_t>(chunk);
      done[at] = fma_loop(times * 1000, dtype, sinks[8 * at]);
    });
    double sum = 0;
    for (const double d : done) {
      sum += d;
    }
    return sum;
  });
  volatile double keep = 0;
  for (const double sink : sinks) {
    keep = keep + sink;
  }
  return rate;
}

double exp_rate(DType dtype, const Sampling& sampling, const CpuContext& context) {
  constexpr std::int64_t kCount = 1024;  // in and out: 16 KiB in f64
  const auto threads = static_cast<std::size_t>(context.pool->threads());
  const std::size_t bytes = kCount * size_of(dtype);
  std::vector<std::byte> memory(threads * 2 * bytes);
  for (std::size_t i = 0; i < memory.size() / size_of(dtype); ++i) {
    const double value = -8.0 + 16.0 * static_cast<double>(i % 1000) / 1000.0;
    if (dtype == DType::f32) {
      const auto single = static_cast<float>(value);
      std::memcpy(memory.data() + 4 * i, &single, 4);
    } else {
      std::memcpy(memory.data() + 8 * i, &value, 8);
    }
  }
  return best_rate(sampling, [&](std::int64_t times) {
    context.pool->run(static_cast<std::int64_t>(threads), [&](std::int64_t chunk) {
      std::byte* const x = memory.data() + static_cast<std::size_t>(chunk) * 2 * bytes;
      for (std::int64_t n = 0; n < times; ++n) {
        (void)kernels::unary_forward({kernels::UnaryOp::exp, x, x + bytes, kCount, dtype}, context);
      }
    });
    return static_cast<double>(times) * static_cast<double>(threads) * kCount;
  });
}

double copy_rate(std::int64_t last_level_cache, const Sampling& sampling,
                 const CpuContext& context) {
  // Source and destination together are four times the cache, but no more than 2 GiB.
  const std::size_t bytes = static_cast<std::size_t>(
      std::min<std::int64_t>(2 * std::max<std::int64_t>(last_level_cache, 1 << 20), 1 << 30));
  const auto threads = static_cast<std::size_t>(context.pool->threads());
  const std::size_t piece = bytes / threads;
  const auto from = std::make_unique_for_overwrite<std::byte[]>(bytes);
  const auto to = std::make_unique_for_overwrite<std::byte[]>(bytes);
  std::memset(from.get(), 1, bytes);
  std::memset(to.get(), 2, bytes);
  return best_rate(sampling, [&](std::int64_t times) {
    for (std::int64_t n = 0; n < times; ++n) {
      context.pool->run(static_cast<std::int64_t>(threads), [&](std::int64_t chunk) {
        const std::size_t at = static_cast<std::size_t>(chunk) * piece;
        std::memcpy(to.get() + at, from.get() + at, piece);
      });
    }
    return 2.0 * static_cast<double>(piece * threads) * static_cast<double>(times);
  });
}

}  // namespace

Ceilings measure_ceilings(Device device, DType dtype, std::int64_t last_level_cache,
                          std::int64_t rounds, double min_seconds,
                          const std::function<void()>& before_sample) {
  if (device == Device::simt) {
    return {};
  }
  if (device == Device::cuda) {
    return measure_gpu_ceilings(dtype == DType::bf16 ? DType::f32 : dtype, last_level_cache, rounds,
                                min_seconds, before_sample);
  }
  const CpuContext& context = cpu_context();
  const Sampling sampling{rounds, min_seconds, before_sample};
  return {fma_rate(dtype, sampling, context), exp_rate(dtype, sampling, context),
          copy_rate(last_level_cache, sampling, context)};
}

Ceilings highest(const Ceilings& a, const Ceilings& b) {
  return {std::max(a.flops, b.flops), std::max(a.exps, b.exps), std::max(a.bytes, b.bytes),
          std::max(a.tensor_flops, b.tensor_flops)};
}

Floor floor_of(double flops, double exps, double bytes, bool on_tensor_cores,
               const Ceilings& ceilings) {
  if (!(ceilings.flops > 0)) {
    return {0, "-"};
  }
  Floor floor{flops / ceilings.flops, "fma"};
  if (on_tensor_cores && ceilings.tensor_flops > 0) {
    floor = {flops / ceilings.tensor_flops, "tensor"};
  }
  if (exps / ceilings.exps > floor.seconds) {
    floor = {exps / ceilings.exps, "exp"};
  }
  if (bytes / ceilings.bytes > floor.seconds) {
    floor = {bytes / ceilings.bytes, "copy"};
  }
  return floor;
}

}  // namespace basin::profile_kernels

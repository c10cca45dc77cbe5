#include "tools/profile_kernels/device_ceilings.h"

#include <algorithm>

#include "kernels/ceilings/ceilings.h"
#include "kernels/cuda/runtime.h"
#include "tensor/check.h"
#include "tensor/tensor.h"

namespace basin::profile_kernels {

#ifdef BASIN_WITH_CUDA

namespace {

struct DeviceSampling {
  std::int64_t rounds;
  double min_seconds;
  const std::function<void()>& before_sample;
};

// The most work per second of all samples; work(repeats) queues it and tells how much it is.
template <class Work>
double best_device_rate(const DeviceSampling& sampling, Work&& work) {
  kernels::CudaTimer timer;
  std::int64_t repeats = 1;
  double best = 0;
  for (std::int64_t round = 0; round < sampling.rounds;) {
    sampling.before_sample();
    timer.start(cuda_context());
    const double amount = work(repeats);
    timer.stop(cuda_context());
    const double seconds = timer.seconds();
    synchronize(Device::cuda);
    if (seconds < sampling.min_seconds) {
      repeats *= 2;
      continue;
    }
    best = std::max(best, amount / seconds);
    ++round;
  }
  return best;
}

}  // namespace

Ceilings measure_gpu_ceilings(DType dtype, std::int64_t cache, std::int64_t rounds,
                              double min_seconds, const std::function<void()>& before_sample) {
  const DeviceSampling sampling{rounds, min_seconds, before_sample};
  Tensor sink = Tensor::zeros({1}, dtype, Device::cuda);
  const double flops = best_device_rate(sampling, [&](std::int64_t repeats) {
    double operations = 0;
    check(kernels::fma_ceiling({sink.mutable_raw(), repeats, dtype, &operations}, cuda_context()),
          "fma_ceiling", sink);
    return operations;
  });
  const double exps = best_device_rate(sampling, [&](std::int64_t repeats) {
    double exponentials = 0;
    check(kernels::exp_ceiling({sink.mutable_raw(), repeats, dtype, &exponentials}, cuda_context()),
          "exp_ceiling", sink);
    return exponentials;
  });
  Tensor tensor_sink = Tensor::zeros({1}, DType::f32, Device::cuda);
  const double tensor_flops = best_device_rate(sampling, [&](std::int64_t repeats) {
    double operations = 0;
    check(
        kernels::tensor_ceiling(
            {static_cast<float*>(tensor_sink.mutable_raw()), repeats, &operations}, cuda_context()),
        "tensor_ceiling", tensor_sink);
    return operations;
  });
  // Source and destination together are eight times the cache.
  const std::int64_t bytes = std::max<std::int64_t>(4 * cache, std::int64_t{64} << 20) / 16 * 16;
  const Tensor from = Tensor::full({bytes}, 1, DType::u8, Device::cuda);
  Tensor to = Tensor::empty({bytes}, DType::u8, Device::cuda);
  const double moved = best_device_rate(sampling, [&](std::int64_t repeats) {
    for (std::int64_t n = 0; n < repeats; ++n) {
      check(kernels::copy_ceiling({from.raw(), to.mutable_raw(), bytes}, cuda_context()),
            "copy_ceiling", from);
    }
    return 2.0 * static_cast<double>(bytes) * static_cast<double>(repeats);
  });
  return {flops, exps, moved, tensor_flops};
}

std::int64_t gpu_cache() {
  kernels::CudaDevice device;
  return kernels::cuda_device(device).ok() ? device.cache : 0;
}

#else

Ceilings measure_gpu_ceilings(DType, std::int64_t, std::int64_t, double,
                              const std::function<void()>&) {
  require(Device::cuda);  // says that this build has none
  return {};
}

std::int64_t gpu_cache() { return 0; }

#endif

}  // namespace basin::profile_kernels

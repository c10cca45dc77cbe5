#include "tests/counting/counting_kernels.h"

#include "kernels/common/launch.h"
#include "kernels/common/ptx.cuh"

namespace basin::kernels::counting {

namespace {

struct alignas(16) FourFloats {
  float v[4];
};

BASIN_KERNEL void strided_kernel(const float* x, float* y, int stride, int offset) {
  y[threadIdx.x] = x[static_cast<int>(threadIdx.x) * stride + offset];
}

BASIN_KERNEL void packs_kernel(const FourFloats* x, FourFloats* y) {
  y[threadIdx.x] = x[threadIdx.x];
}

BASIN_KERNEL void doubles_kernel(const double* x, double* y) { y[threadIdx.x] = x[threadIdx.x]; }

BASIN_KERNEL void one_kernel(const float* x, float* y) { y[threadIdx.x] = x[0]; }

BASIN_KERNEL void loop_kernel(const float* x, float* y, int turns) {
  float sum = 0;
  for (int turn = 0; turn < turns + static_cast<int>(threadIdx.x) % 2; ++turn) {
    sum += x[turn * 32 + static_cast<int>(threadIdx.x)];
  }
  y[threadIdx.x] = sum;
}

BASIN_KERNEL void some_kernel(const float* x, float* y, int active) {
  if (static_cast<int>(threadIdx.x) < active) {
    y[threadIdx.x] = x[threadIdx.x];
  }
}

BASIN_KERNEL void share_kernel(float* y, int stride) {
  float* const words = dynamic_shared<float>();
  const int at = static_cast<int>(threadIdx.x) * stride;
  words[at] = static_cast<float>(at);
  __syncthreads();
  y[threadIdx.x] = words[at];
}

BASIN_KERNEL void share_doubles_kernel(double* y) {
  double* const words = dynamic_shared<double>();
  words[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = words[threadIdx.x];
}

BASIN_KERNEL void share_packs_kernel(FourFloats* y) {
  FourFloats* const words = dynamic_shared<FourFloats>();
  words[threadIdx.x] = y[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = words[threadIdx.x];
}

BASIN_KERNEL void atomic_kernel(std::int64_t* sum) { atomicAdd(sum, std::int64_t{1}); }

BASIN_KERNEL void async_kernel(const FourFloats* x, FourFloats* y, int valid) {
  FourFloats* const words = dynamic_shared<FourFloats>();
  copy_async<16>(words + threadIdx.x, x + threadIdx.x, valid);
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  y[threadIdx.x] = words[threadIdx.x];
}

template <class... Parameters, class... Arguments>
Status run(void (*kernel)(Parameters...), int threads, std::size_t shared, Arguments... arguments) {
  return launch({"counted", {1, 1, 1}, {static_cast<unsigned>(threads), 1, 1}, shared},
                SimtContext{}, kernel, arguments...);
}

}  // namespace

Status read_strided(const float* x, float* y, int threads, int stride, int offset) {
  return run(strided_kernel, threads, 0, x, y, stride, offset);
}
Status read_packs(const float* x, float* y, int threads) {
  return run(packs_kernel, threads, 0, reinterpret_cast<const FourFloats*>(x),
             reinterpret_cast<FourFloats*>(y));
}
Status read_doubles(const double* x, double* y, int threads) {
  return run(doubles_kernel, threads, 0, x, y);
}
Status read_one(const float* x, float* y, int threads) { return run(one_kernel, threads, 0, x, y); }
Status read_in_a_loop(const float* x, float* y, int turns) {
  return run(loop_kernel, 32, 0, x, y, turns);
}
Status read_by_some(const float* x, float* y, int active) {
  return run(some_kernel, 32, 0, x, y, active);
}
Status share_strided(float* y, int stride) {
  return run(share_kernel, 32, static_cast<std::size_t>(32 * stride) * 4 + 4, y, stride);
}
Status share_doubles(double* y) { return run(share_doubles_kernel, 32, 32 * 8, y); }
Status share_packs(float* y) {
  return run(share_packs_kernel, 32, 32 * 16, reinterpret_cast<FourFloats*>(y));
}
Status add_atomically(std::int64_t* sum, int threads) {
  return run(atomic_kernel, threads, 0, sum);
}
Status copy_async_packs(const float* x, float* y, int valid) {
  return run(async_kernel, 32, 32 * 16, reinterpret_cast<const FourFloats*>(x),
             reinterpret_cast<FourFloats*>(y), valid);
}

}  // namespace basin::kernels::counting

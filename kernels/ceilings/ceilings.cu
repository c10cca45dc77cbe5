// Loops whose only limit is one unit of the device. Each thread keeps several independent chains,
// so that the unit never waits for a result; the sums go to memory under a condition that never
// holds, or the compiler would leave the loop out.
#include "kernels/ceilings/ceilings.h"

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/math.h"
#include "kernels/common/ptx_matrix.cuh"

namespace basin::kernels {

namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kBlocks = 132 * 8;  // several for each multiprocessor of every card
constexpr int kChains = 8;
constexpr int kUnrolled = 16;

template <class T>
BASIN_KERNEL void fma_kernel(T* sink, std::int64_t repeats, T by) {
  T sums[kChains];
  for (int c = 0; c < kChains; ++c) {
    sums[c] = static_cast<T>(threadIdx.x + static_cast<unsigned>(c));
  }
  for (std::int64_t r = 0; r < repeats; ++r) {
    for (int u = 0; u < kUnrolled; ++u) {
      for (int c = 0; c < kChains; ++c) {
        sums[c] = std::fma(sums[c], by, T(0.5));
      }
    }
  }
  T total = 0;
  for (int c = 0; c < kChains; ++c) {
    total += sums[c];
  }
  if (total == T(-1)) {  // sums of positive numbers
    *sink = total;
  }
}

template <class T>
BASIN_KERNEL void exp_kernel(T* sink, std::int64_t repeats, T offset) {
  T values[kChains];
  for (int c = 0; c < kChains; ++c) {
    values[c] = static_cast<T>(c) * T(0.1);
  }
  for (std::int64_t r = 0; r < repeats; ++r) {
    for (int c = 0; c < kChains; ++c) {
      values[c] = exp_of(values[c] - offset);  // stays between 0 and 1
    }
  }
  T total = 0;
  for (int c = 0; c < kChains; ++c) {
    total += values[c];
  }
  if (total == T(-1)) {
    *sink = total;
  }
}

BASIN_KERNEL void tensor_kernel(float* sink, std::int64_t repeats) {
  float sums[kChains][4];
  for (int c = 0; c < kChains; ++c) {
    for (int i = 0; i < 4; ++i) {
      sums[c][i] = static_cast<float>(c);
    }
  }
  const std::uint32_t tiny = pack_halves(0x3000, 0x3000);  // 2^-31 in bf16: the sums stay finite
  const std::uint32_t a[4] = {tiny, tiny, tiny, tiny};
  const std::uint32_t b[2] = {tiny, tiny};
  for (std::int64_t r = 0; r < repeats; ++r) {
    for (int c = 0; c < kChains; ++c) {
      multiply_16x8x16<BFloat16>(sums[c], a, b);
    }
  }
  float total = 0;
  for (int c = 0; c < kChains; ++c) {
    total += sums[c][0];
  }
  if (total == -1.0f) {
    *sink = total;
  }
}

struct alignas(16) Piece {
  std::uint32_t words[4];
};

BASIN_KERNEL void copy_kernel(const Piece* x, Piece* y, std::int64_t count) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    y[i] = x[i];
  }
}

}  // namespace

Status fma_ceiling(const FmaCeiling& p, const DeviceContext& context) {
  *p.operations = 2.0 * kThreads * kBlocks * kChains * kUnrolled * static_cast<double>(p.repeats);
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch({"fma_ceiling", {kBlocks, 1, 1}, {kThreads, 1, 1}}, context, fma_kernel<T>,
                  static_cast<T*>(p.sink), p.repeats, T(0.999));
  });
}

Status exp_ceiling(const ExpCeiling& p, const DeviceContext& context) {
  *p.exponentials = 1.0 * kThreads * kBlocks * kChains * static_cast<double>(p.repeats);
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch({"exp_ceiling", {kBlocks, 1, 1}, {kThreads, 1, 1}}, context, exp_kernel<T>,
                  static_cast<T*>(p.sink), p.repeats, T(1));
  });
}

Status tensor_ceiling(const TensorCeiling& p, const DeviceContext& context) {
  constexpr double kOperations = 2.0 * 16 * 8 * 16;
  *p.operations =
      kOperations * kThreads / kWarpSize * kBlocks * kChains * static_cast<double>(p.repeats);
  return launch({"tensor_ceiling", {kBlocks, 1, 1}, {kThreads, 1, 1}}, context, tensor_kernel,
                p.sink, p.repeats);
}

Status copy_ceiling(const CopyCeiling& p, const DeviceContext& context) {
  if (p.bytes % 16 != 0) {
    return Status::invalid("copy_ceiling: the bytes must be a multiple of 16");
  }
  return launch({"copy_ceiling", {kBlocks, 1, 1}, {kThreads, 1, 1}}, context, copy_kernel,
                static_cast<const Piece*>(p.x), static_cast<Piece*>(p.y), p.bytes / 16);
}

}  // namespace basin::kernels

// The backward pass of layer normalisation on a GPU, with and without a gradient that is added:
// what layer_norm.h and add_layer_norm.h share. A block for 64 rows, x and dy read once more from
// the cache; each thread owns columns, so the sums for weight and bias need no atomics and have one
// order.
#pragma once

#include <cstdint>

#include "kernels/common/block_reduce.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

/// `x` is what was normalised; `more`, which is added to dx, may be null; dx, or dweight and dbias
/// together, may be null. All contiguous, of one dtype. dx may be more.
struct NormSlopes {
  const void* x;
  const void* weight;
  const void* mean;
  const void* rstd;
  const void* dy;
  const void* more;
  void* dx;
  void* dweight;
  void* dbias;
  double* workspace;
  std::int64_t rows, cols;
};

// A kernel must not have one name in two object files: each file that includes this has its own.
namespace {

constexpr std::int64_t kSlopeRows = 64;  // of a block; the workspace has a pair of rows each

template <class T>
BASIN_KERNEL void norm_slopes_kernel(NormSlopes p) {
  const T* const weight = static_cast<const T*>(p.weight);
  const bool sums = p.dweight != nullptr;
  T* const dweight =
      sums ? reinterpret_cast<T*>(p.workspace) + std::int64_t{blockIdx.x} * p.cols * 2 : nullptr;
  T* const dbias = sums ? dweight + p.cols : nullptr;
  const std::int64_t first = std::int64_t{blockIdx.x} * kSlopeRows;
  const std::int64_t last = first + kSlopeRows < p.rows ? first + kSlopeRows : p.rows;
  for (std::int64_t row = first; row < last; ++row) {
    const T* const x = static_cast<const T*>(p.x) + row * p.cols;
    const T* const dy = static_cast<const T*>(p.dy) + row * p.cols;
    const T mean = static_cast<const T*>(p.mean)[row];
    const T rstd = static_cast<const T*>(p.rstd)[row];
    T sum_g = 0;
    T sum_gx = 0;
    for (std::int64_t c = threadIdx.x; c < p.cols; c += blockDim.x) {
      const T normal = (x[c] - mean) * rstd;
      const T g = weight != nullptr ? dy[c] * weight[c] : dy[c];
      sum_g += g;
      sum_gx += g * normal;
      if (sums) {
        dweight[c] = (row == first ? T(0) : dweight[c]) + dy[c] * normal;
        dbias[c] = (row == first ? T(0) : dbias[c]) + dy[c];
      }
    }
    if (p.dx == nullptr) {
      continue;
    }
    const T mean_g = block_reduce<Sum>(sum_g) / static_cast<T>(p.cols);
    const T mean_gx = block_reduce<Sum>(sum_gx) / static_cast<T>(p.cols);
    T* const dx = static_cast<T*>(p.dx) + row * p.cols;
    const T* const more =
        p.more == nullptr ? nullptr : static_cast<const T*>(p.more) + row * p.cols;
    for (std::int64_t c = threadIdx.x; c < p.cols; c += blockDim.x) {
      const T normal = (x[c] - mean) * rstd;
      const T g = weight != nullptr ? dy[c] * weight[c] : dy[c];
      const T slope = rstd * (g - mean_g - normal * mean_gx);
      dx[c] = more != nullptr ? more[c] + slope : slope;
    }
  }
}

// Adds up what the blocks of the kernel before left in the workspace: a thread for a column.
template <class T>
BASIN_KERNEL void norm_add_partials(NormSlopes p, std::int64_t pieces) {
  const std::int64_t c = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c >= 2 * p.cols) {
    return;
  }
  double sum = 0;
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    sum += static_cast<double>(reinterpret_cast<const T*>(p.workspace)[piece * p.cols * 2 + c]);
  }
  T* const to = c < p.cols ? static_cast<T*>(p.dweight) + c : static_cast<T*>(p.dbias) + c - p.cols;
  *to = static_cast<T>(sum);
}

/// Both kernels. `name` is that of the first one.
Status norm_slopes(const char* name, const NormSlopes& p, DType dtype,
                   const DeviceContext& context) {
  constexpr unsigned kThreads = 256;
  if (p.cols <= 0) {
    return {};
  }
  return dispatch_floating(dtype, [&]<class T>(T) {
    const std::int64_t pieces = pieces_of(p.rows, kSlopeRows);
    Status status;
    if (pieces > 0) {
      const LaunchShape shape{
          name, {static_cast<unsigned>(pieces), 1, 1}, {threads_for_row(p.cols), 1, 1}};
      status = launch(shape, context, norm_slopes_kernel<T>, p);
    }
    if (status.ok() && p.dweight != nullptr) {
      const auto blocks = static_cast<unsigned>(pieces_of(2 * p.cols, kThreads));
      status = launch({"layer_norm_add_partials", {blocks, 1, 1}, {kThreads, 1, 1}}, context,
                      norm_add_partials<T>, p, pieces);
    }
    return status;
  });
}

}  // namespace

}  // namespace basin::kernels

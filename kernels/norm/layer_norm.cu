// Layer normalisation on a GPU. Forward: a warp for a row, x read once for its statistics.
// Backward: a block for 64 rows, x and dy read once more from the cache; each thread owns columns,
// so the sums for weight and bias need no atomics and have one order.
#include "kernels/norm/layer_norm.h"

#include <cmath>

#include "kernels/common/block_reduce.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

// Mean and sum of squared deviations of `count` numbers.
template <class T>
struct Moments {
  T count = 0;
  T mean = 0;
  T squares = 0;

  // One more number (B. P. Welford 1962).
  BASIN_DEVICE void add(T x) {
    count += T(1);
    const T before = x - mean;
    mean += before / count;
    squares += before * (x - mean);
  }

  // The numbers of another part (T. Chan, G. Golub, R. LeVeque 1979).
  BASIN_DEVICE void add(const Moments& other) {
    const T total = count + other.count;
    if (total == T(0)) {
      return;
    }
    const T between = other.mean - mean;
    const T share = other.count / total;
    mean += between * share;
    squares += other.squares + between * between * count * share;
    count = total;
  }
};

// The moments of what all lanes have, for every lane.
template <class T>
BASIN_DEVICE Moments<T> over_warp(Moments<T> m) {
  for (unsigned distance = kWarpSize / 2; distance > 0; distance /= 2) {
    Moments<T> other;
    other.count = __shfl_down_sync(kAllLanes, m.count, distance);
    other.mean = __shfl_down_sync(kAllLanes, m.mean, distance);
    other.squares = __shfl_down_sync(kAllLanes, m.squares, distance);
    m.add(other);
  }
  // Upper lanes have added some of their own numbers twice; the lowest has added each once.
  m.count = __shfl_sync(kAllLanes, m.count, 0);
  m.mean = __shfl_sync(kAllLanes, m.mean, 0);
  m.squares = __shfl_sync(kAllLanes, m.squares, 0);
  return m;
}

constexpr unsigned kWarps = 4;

template <class T>
BASIN_KERNEL void forward_kernel(LayerNormForward p) {
  const std::int64_t row = std::int64_t{blockIdx.x} * kWarps + threadIdx.y;
  if (row >= p.rows) {
    return;  // the whole warp
  }
  const T* const x = static_cast<const T*>(p.x) + row * p.x_stride;
  const T* const weight = static_cast<const T*>(p.weight);
  const T* const bias = static_cast<const T*>(p.bias);
  T* const y = static_cast<T*>(p.y) + row * p.y_stride;
  Moments<T> m;
  for (std::int64_t c = threadIdx.x; c < p.cols; c += kWarpSize) {
    m.add(x[c]);
  }
  m = over_warp(m);
  const T rstd = T(1) / std::sqrt(m.squares / m.count + static_cast<T>(p.eps));
  for (std::int64_t c = threadIdx.x; c < p.cols; c += kWarpSize) {
    const T scaled = (x[c] - m.mean) * rstd * (weight != nullptr ? weight[c] : T(1));
    y[c] = scaled + (bias != nullptr ? bias[c] : T(0));
  }
  if (threadIdx.x == 0) {
    static_cast<T*>(p.mean)[row] = m.mean;
    static_cast<T*>(p.rstd)[row] = rstd;
  }
}

constexpr std::int64_t kRows = 64;  // of a block; the workspace has a pair of rows for each 64

template <class T>
BASIN_KERNEL void backward_kernel(LayerNormBackward p) {
  const T* const weight = static_cast<const T*>(p.weight);
  const bool sums = p.dweight != nullptr;
  T* const dweight =
      sums ? reinterpret_cast<T*>(p.workspace) + std::int64_t{blockIdx.x} * p.cols * 2 : nullptr;
  T* const dbias = sums ? dweight + p.cols : nullptr;
  const std::int64_t first = std::int64_t{blockIdx.x} * kRows;
  const std::int64_t last = first + kRows < p.rows ? first + kRows : p.rows;
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
    for (std::int64_t c = threadIdx.x; c < p.cols; c += blockDim.x) {
      const T normal = (x[c] - mean) * rstd;
      const T g = weight != nullptr ? dy[c] * weight[c] : dy[c];
      dx[c] = rstd * (g - mean_g - normal * mean_gx);
    }
  }
}

// Adds up what the blocks of the kernel before left in the workspace: a thread for a column.
template <class T>
BASIN_KERNEL void add_partials(LayerNormBackward p, std::int64_t pieces) {
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

}  // namespace

Status layer_norm_forward(const LayerNormForward& p, const DeviceContext& context) {
  if (p.cols <= 0) {
    return Status::invalid("layer_norm: rows must have at least one element");
  }
  if (p.rows <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const LaunchShape shape{"layer_norm_forward",
                            {static_cast<unsigned>(pieces_of(p.rows, kWarps)), 1, 1},
                            {kWarpSize, kWarps, 1}};
    return launch(shape, context, forward_kernel<T>, p);
  });
}

Status layer_norm_backward(const LayerNormBackward& p, const DeviceContext& context) {
  constexpr unsigned kThreads = 256;
  if (p.cols <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t pieces = pieces_of(p.rows, kRows);
    Status status;
    if (pieces > 0) {
      const LaunchShape shape{"layer_norm_backward",
                              {static_cast<unsigned>(pieces), 1, 1},
                              {threads_for_row(p.cols), 1, 1}};
      status = launch(shape, context, backward_kernel<T>, p);
    }
    if (status.ok() && p.dweight != nullptr) {
      const auto blocks = static_cast<unsigned>(pieces_of(2 * p.cols, kThreads));
      status = launch({"layer_norm_add_partials", {blocks, 1, 1}, {kThreads, 1, 1}}, context,
                      add_partials<T>, p, pieces);
    }
    return status;
  });
}

}  // namespace basin::kernels

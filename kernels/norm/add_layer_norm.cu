// Residual and layer normalisation on a GPU. Forward: a warp for a row, which reads both addends
// once and its own part of the sum again. Backward: norm_slopes.cuh.
#include "kernels/norm/add_layer_norm.h"

#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/norm/moments.cuh"
#include "kernels/norm/norm_slopes.cuh"

namespace basin::kernels {

namespace {

constexpr unsigned kWarps = 4;

template <class T>
BASIN_KERNEL void add_forward_kernel(AddLayerNormForward p) {
  const std::int64_t row = std::int64_t{blockIdx.x} * kWarps + threadIdx.y;
  if (row >= p.rows) {
    return;  // the whole warp
  }
  const T* const x = static_cast<const T*>(p.x) + row * p.cols;
  const T* const residual = static_cast<const T*>(p.residual) + row * p.cols;
  const T* const weight = static_cast<const T*>(p.weight);
  const T* const bias = static_cast<const T*>(p.bias);
  T* const sum = static_cast<T*>(p.sum) + row * p.cols;
  T* const y = static_cast<T*>(p.y) + row * p.cols;
  Moments<T> m;
  for (std::int64_t c = threadIdx.x; c < p.cols; c += kWarpSize) {
    const T both = x[c] + residual[c];
    sum[c] = both;
    m.add(both);
  }
  m = over_warp(m);
  const T rstd = T(1) / std::sqrt(m.squares / m.count + static_cast<T>(p.eps));
  for (std::int64_t c = threadIdx.x; c < p.cols; c += kWarpSize) {
    const T scaled = (sum[c] - m.mean) * rstd * (weight != nullptr ? weight[c] : T(1));
    y[c] = scaled + (bias != nullptr ? bias[c] : T(0));
  }
  if (threadIdx.x == 0) {
    static_cast<T*>(p.mean)[row] = m.mean;
    static_cast<T*>(p.rstd)[row] = rstd;
  }
}

}  // namespace

Status add_layer_norm_forward(const AddLayerNormForward& p, const DeviceContext& context) {
  if (p.cols <= 0) {
    return Status::invalid("add_layer_norm: rows must have at least one element");
  }
  if (p.rows <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const LaunchShape shape{"add_layer_norm_forward",
                            {static_cast<unsigned>(pieces_of(p.rows, kWarps)), 1, 1},
                            {kWarpSize, kWarps, 1}};
    return launch(shape, context, add_forward_kernel<T>, p);
  });
}

Status add_layer_norm_backward(const AddLayerNormBackward& p, const DeviceContext& context) {
  return norm_slopes("add_layer_norm_backward",
                     {p.sum, p.weight, p.mean, p.rstd, p.dy, p.dsum, p.dx, p.dweight, p.dbias,
                      p.workspace, p.rows, p.cols},
                     p.dtype, context);
}

}  // namespace basin::kernels

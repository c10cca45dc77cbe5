// Layer normalisation on a GPU. Forward: a warp for a row, x read once for its statistics.
// Backward: norm_slopes.cuh.
#include "kernels/norm/layer_norm.h"

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
  return norm_slopes("layer_norm_backward",
                     {p.x, p.weight, p.mean, p.rstd, p.dy, nullptr, p.dx, p.dweight, p.dbias,
                      p.workspace, p.rows, p.cols},
                     p.dtype, context);
}

}  // namespace basin::kernels

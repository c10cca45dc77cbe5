// Softmax over rows on a GPU: a block for a row.
#include "kernels/softmax/softmax.h"

#include "kernels/common/block_reduce.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/math.h"

namespace basin::kernels {

namespace {

template <class T>
BASIN_KERNEL void softmax_forward_kernel(const T* x, T* y, std::int64_t rows, std::int64_t cols) {
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* const from = x + row * cols;
    T* const to = y + row * cols;
    T shift = Maximum::identity<T>();
    for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
      shift = Maximum::of(shift, from[c]);
    }
    shift = block_reduce<Maximum>(shift);
    // Where nothing is visible, e^-inf makes zeros of e^(-inf - 0).
    const bool hidden = shift == Maximum::identity<T>();
    shift = hidden ? T(0) : shift;
    T sum = 0;
    for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
      const T weight = exp_of(from[c] - shift);
      to[c] = weight;
      sum += weight;
    }
    sum = block_reduce<Sum>(sum);
    const T scale = hidden ? T(0) : T(1) / sum;
    for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
      to[c] *= scale;
    }
  }
}

template <class T>
BASIN_KERNEL void softmax_backward_kernel(const T* y, const T* dy, T* dx, std::int64_t rows,
                                          std::int64_t cols) {
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const std::int64_t first = row * cols;
    T inner = 0;
    for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
      inner += y[first + c] * dy[first + c];
    }
    inner = block_reduce<Sum>(inner);
    for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
      dx[first + c] = y[first + c] * (dy[first + c] - inner);
    }
  }
}

LaunchShape shape_of(const char* name, std::int64_t rows, std::int64_t cols) {
  return {name, {blocks_for(rows, 1), 1, 1}, {threads_for_row(cols), 1, 1}};
}

}  // namespace

Status softmax_forward(const SoftmaxForward& p, const DeviceContext& context) {
  if (p.rows <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch(shape_of("softmax_forward", p.rows, p.cols), context, softmax_forward_kernel<T>,
                  static_cast<const T*>(p.x), static_cast<T*>(p.y), p.rows, p.cols);
  });
}

Status softmax_backward(const SoftmaxBackward& p, const DeviceContext& context) {
  if (p.rows <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch(shape_of("softmax_backward", p.rows, p.cols), context, softmax_backward_kernel<T>,
                  static_cast<const T*>(p.y), static_cast<const T*>(p.dy), static_cast<T*>(p.dx),
                  p.rows, p.cols);
  });
}

}  // namespace basin::kernels

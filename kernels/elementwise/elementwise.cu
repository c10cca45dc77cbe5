// The unary operations of unary_table.inc on a GPU: one kernel for each functor.
#include "kernels/elementwise/elementwise.h"

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/elementwise/functors.h"

namespace basin::kernels {

namespace {

constexpr unsigned kThreads = 256;

template <class T, class Op>
BASIN_KERNEL void unary_forward_kernel(const T* x, T* y, std::int64_t count) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    y[i] = Op::value(x[i]);
  }
}

template <class T, class Op>
BASIN_KERNEL void unary_backward_kernel(const T* x, const T* y, const T* dy, T* dx,
                                        std::int64_t count) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    dx[i] = dy[i] * Op::derivative(x[i], y[i]);
  }
}

LaunchShape shape_of(const char* name, std::int64_t count) {
  return {name, {blocks_for(count, kThreads), 1, 1}, {kThreads, 1, 1}};
}

}  // namespace

Status unary_forward(const UnaryForward& p, const DeviceContext& context) {
  if (p.count <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      return launch(shape_of("unary_forward", p.count), context, unary_forward_kernel<T, Op>,
                    static_cast<const T*>(p.x), static_cast<T*>(p.y), p.count);
    });
  });
}

Status unary_backward(const UnaryBackward& p, const DeviceContext& context) {
  if (p.count <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      return launch(shape_of("unary_backward", p.count), context, unary_backward_kernel<T, Op>,
                    static_cast<const T*>(p.x), static_cast<const T*>(p.y),
                    static_cast<const T*>(p.dy), static_cast<T*>(p.dx), p.count);
    });
  });
}

}  // namespace basin::kernels

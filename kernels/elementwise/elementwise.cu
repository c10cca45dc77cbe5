// The unary operations of unary_table.inc and y = scale x + shift on a GPU: one kernel for each
// functor. Blocks of 256 threads; a thread takes packs of 16 bytes, a grid apart, so that a warp
// reads 512 bytes in a row.
#include "kernels/elementwise/elementwise.h"

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/pack.cuh"
#include "kernels/elementwise/functors.h"

namespace basin::kernels {

namespace {

constexpr unsigned kThreads = 256;
template <class T>
constexpr int kWidth = pack_width(sizeof(T));

template <class T, class Op>
BASIN_KERNEL void unary_forward_kernel(const T* x, T* y, std::int64_t count, std::int64_t packs) {
  map_packs<kWidth<T>>(
      count, packs, [](T value) { return Op::value(value); }, y, x);
}

template <class T, class Op>
BASIN_KERNEL void unary_backward_kernel(const T* x, const T* y, const T* dy, T* dx,
                                        std::int64_t count, std::int64_t packs) {
  map_packs<kWidth<T>>(
      count, packs, [](T from, T to, T slope) { return slope * Op::derivative(from, to); }, dx, x,
      y, dy);
}

template <class T>
BASIN_KERNEL void affine_kernel(const T* x, T* y, T scale, T shift, std::int64_t count,
                                std::int64_t packs) {
  map_packs<kWidth<T>>(
      count, packs, [=](T value) { return scale * value + shift; }, y, x);
}

template <class T>
LaunchShape shape_of(const char* name, std::int64_t count, std::int64_t packs) {
  return {
      name, {blocks_for(pack_calls(count, packs, kWidth<T>), kThreads), 1, 1}, {kThreads, 1, 1}};
}

}  // namespace

Status unary_forward(const UnaryForward& p, const DeviceContext& context) {
  if (p.count <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T* const x = static_cast<const T*>(p.x);
    T* const y = static_cast<T*>(p.y);
    const std::int64_t packs = packs_of<kWidth<T>>(p.count, x, y);
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      return launch(shape_of<T>("unary_forward", p.count, packs), context,
                    unary_forward_kernel<T, Op>, x, y, p.count, packs);
    });
  });
}

Status unary_backward(const UnaryBackward& p, const DeviceContext& context) {
  if (p.count <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T* const x = static_cast<const T*>(p.x);
    const T* const y = static_cast<const T*>(p.y);
    const T* const dy = static_cast<const T*>(p.dy);
    T* const dx = static_cast<T*>(p.dx);
    const std::int64_t packs = packs_of<kWidth<T>>(p.count, x, y, dy, dx);
    return functors::dispatch(p.op, [&]<class Op>(Op) {
      return launch(shape_of<T>("unary_backward", p.count, packs), context,
                    unary_backward_kernel<T, Op>, x, y, dy, dx, p.count, packs);
    });
  });
}

Status affine(const Affine& p, const DeviceContext& context) {
  if (p.count <= 0) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T* const x = static_cast<const T*>(p.x);
    T* const y = static_cast<T*>(p.y);
    const std::int64_t packs = packs_of<kWidth<T>>(p.count, x, y);
    return launch(shape_of<T>("affine", p.count, packs), context, affine_kernel<T>, x, y,
                  static_cast<T>(p.scale), static_cast<T>(p.shift), p.count, packs);
  });
}

}  // namespace basin::kernels

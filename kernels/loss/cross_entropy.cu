// Cross-entropy on a GPU: a block for a row. Rows that are ignored are not read.
#include "kernels/loss/cross_entropy.h"

#include <limits>

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/loss/row_loss.cuh"

namespace basin::kernels {

namespace {

template <class T>
BASIN_KERNEL void forward_kernel(CrossEntropyForward p) {
  const T smoothing = static_cast<T>(p.label_smoothing);
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const T* const x = static_cast<const T*>(p.logits) + row * p.classes;
    const std::int64_t target = p.targets[row];
    T loss = 0;
    T lse = 0;
    if (target != p.ignore_index) {  // the same for the whole block
      if (target >= 0 && target < p.classes) {
        const RowSums<T> sums = sums_of_row(x, p.classes, smoothing != T(0));
        lse = sums.lse;
        loss = loss_of_row(sums, x[target], p.classes, smoothing);
      } else {
        lse = loss = std::numeric_limits<T>::quiet_NaN();
      }
    }
    if (threadIdx.x == 0) {
      static_cast<T*>(p.row_loss)[row] = loss;
      static_cast<T*>(p.lse)[row] = lse;
    }
  }
}

template <class T>
BASIN_KERNEL void backward_kernel(CrossEntropyBackward p) {
  const T scale = static_cast<T>(p.scale);
  const T even = static_cast<T>(p.label_smoothing / static_cast<double>(p.classes));
  const T hit = static_cast<T>(1.0 - p.label_smoothing);
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const T* const x = static_cast<const T*>(p.logits) + row * p.classes;
    T* const dx = static_cast<T*>(p.dlogits) + row * p.classes;
    const std::int64_t target = p.targets[row];
    if (target == p.ignore_index) {
      fill_row(dx, p.classes, T(0));
    } else if (target >= 0 && target < p.classes) {
      slopes_of_row(x, dx, p.classes, target, static_cast<const T*>(p.lse)[row], scale, even, hit);
    } else {
      fill_row(dx, p.classes, std::numeric_limits<T>::quiet_NaN());
    }
  }
}

template <class P>
LaunchShape shape_of(const char* name, const P& p) {
  return {name, {blocks_for(p.rows, 1), 1, 1}, {threads_for_row(p.classes), 1, 1}};
}

}  // namespace

Status cross_entropy_forward(const CrossEntropyForward& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return p.rows <= 0
               ? Status{}
               : launch(shape_of("cross_entropy_forward", p), context, forward_kernel<T>, p);
  });
}

Status cross_entropy_backward(const CrossEntropyBackward& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return p.rows <= 0
               ? Status{}
               : launch(shape_of("cross_entropy_backward", p), context, backward_kernel<T>, p);
  });
}

}  // namespace basin::kernels

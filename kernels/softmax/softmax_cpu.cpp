#include <algorithm>

#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"
#include "kernels/softmax/softmax.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax/softmax_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

inline std::int64_t rows_per_chunk(std::int64_t cols) {
  return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, cols));
}

template <class T>
void softmax_row(const T* x, T* y, std::int64_t cols) {
  const T shift = vector_max(x, cols);
  if (shift == -std::numeric_limits<T>::infinity()) {
    // Nothing is visible (or everything is NaN, which must not be hidden).
    const bool nan = std::any_of(x, x + cols, [](T value) { return value != value; });
    std::fill(y, y + cols, nan ? std::numeric_limits<T>::quiet_NaN() : T(0));
    return;
  }
  const T sum = vector_exp_sum(x, y, cols, shift);
  vector_scale(y, y, cols, T(1) / sum);
}

template <class T>
void softmax_slope(const T* y, const T* dy, T* dx, std::int64_t cols) {
  const T inner = vector_dot(y, dy, cols);
  for (std::int64_t c = 0; c < cols; ++c) {
    dx[c] = y[c] * (dy[c] - inner);
  }
}

Status softmax_forward_target(const SoftmaxForward& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.rows, rows_per_chunk(p.cols), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        softmax_row(static_cast<const T*>(p.x) + r * p.cols, static_cast<T*>(p.y) + r * p.cols,
                    p.cols);
      }
    });
    return Status{};
  });
}

Status softmax_backward_target(const SoftmaxBackward& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.rows, rows_per_chunk(p.cols), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        softmax_slope(static_cast<const T*>(p.y) + r * p.cols,
                      static_cast<const T*>(p.dy) + r * p.cols, static_cast<T*>(p.dx) + r * p.cols,
                      p.cols);
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(softmax_forward_target);
HWY_EXPORT(softmax_backward_target);

Status softmax_forward(const SoftmaxForward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(softmax_forward_target)(p, context);
}

Status softmax_backward(const SoftmaxBackward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(softmax_backward_target)(p, context);
}

}  // namespace basin::kernels
#endif

#include <algorithm>

#include "kernels/common/dispatch.h"
#include "kernels/common/row_math.h"
#include "kernels/softmax/softmax.h"

namespace basin::kernels {

namespace {
std::int64_t rows_per_chunk(std::int64_t cols) {
  return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, cols));
}
}  // namespace

Status softmax_forward(const SoftmaxForward& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.rows, rows_per_chunk(p.cols), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T* x = static_cast<const T*>(p.x) + r * p.cols;
        T* y = static_cast<T*>(p.y) + r * p.cols;
        const T shift = row_max(x, p.cols);
        if (shift == -std::numeric_limits<T>::infinity()) {
          // Nothing is visible (or everything is NaN, which must not be hidden).
          const bool nan = std::any_of(x, x + p.cols, [](T value) { return value != value; });
          std::fill(y, y + p.cols, nan ? std::numeric_limits<T>::quiet_NaN() : T(0));
          continue;
        }
        const T scale = T(1) / row_exp(x, y, p.cols, shift);
        for (std::int64_t c = 0; c < p.cols; ++c) {
          y[c] *= scale;
        }
      }
    });
    return Status{};
  });
}

Status softmax_backward(const SoftmaxBackward& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.rows, rows_per_chunk(p.cols), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T* y = static_cast<const T*>(p.y) + r * p.cols;
        const T* dy = static_cast<const T*>(p.dy) + r * p.cols;
        T* dx = static_cast<T*>(p.dx) + r * p.cols;
        const T inner = row_dot(y, dy, p.cols);
        for (std::int64_t c = 0; c < p.cols; ++c) {
          dx[c] = y[c] * (dy[c] - inner);
        }
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels

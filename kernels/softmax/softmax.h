// Softmax over the rows of a contiguous matrix.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// y[r, c] = exp(x[r, c] - max_r) / sum. A row of nothing but -inf becomes zeros. y may be x.
struct SoftmaxForward {
  const void* x;
  void* y;
  std::int64_t rows, cols;
  DType dtype;
};
Status softmax_forward(const SoftmaxForward&, const CpuContext&);
Status softmax_forward(const SoftmaxForward&, const SimtContext&);
Status softmax_forward(const SoftmaxForward&, const CudaContext&);

/// dx = y * (dy - <y, dy>) per row. dx may be dy.
struct SoftmaxBackward {
  const void* y;
  const void* dy;
  void* dx;
  std::int64_t rows, cols;
  DType dtype;
};
Status softmax_backward(const SoftmaxBackward&, const CpuContext&);
Status softmax_backward(const SoftmaxBackward&, const SimtContext&);
Status softmax_backward(const SoftmaxBackward&, const CudaContext&);

}  // namespace basin::kernels

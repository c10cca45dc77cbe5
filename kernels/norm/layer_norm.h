// Layer normalisation over the rows of a matrix (J. Ba, J. Kiros, G. Hinton 2016).
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// y[r, c] = (x[r, c] - mean_r) rstd_r weight[c] + bias[c], rstd_r = 1 / sqrt(variance_r + eps)
/// with the biased variance. x and y have element distances between rows; weight and bias have cols
/// elements or are null (1 and 0); mean and rstd have rows elements of the same dtype and are
/// written for the backward pass.
struct LayerNormForward {
  const void* x;
  const void* weight;
  const void* bias;
  void* y;
  void* mean;
  void* rstd;
  std::int64_t rows, cols, x_stride, y_stride;
  double eps;
  DType dtype;
};
Status layer_norm_forward(const LayerNormForward&, const CpuContext&);
Status layer_norm_forward(const LayerNormForward&, const SimtContext&);
Status layer_norm_forward(const LayerNormForward&, const CudaContext&);

/// With x^ = (x - mean) rstd and g = dy weight:
/// dx = rstd (g - mean_c(g) - x^ mean_c(g x^)), dweight = sum_r dy x^, dbias = sum_r dy.
/// All matrices contiguous. dx, or dweight and dbias together, may be null. `workspace` has room
/// for layer_norm_backward_workspace(rows, cols) doubles; it is only used for dweight and dbias.
struct LayerNormBackward {
  const void* x;
  const void* weight;
  const void* mean;
  const void* rstd;
  const void* dy;
  void* dx;
  void* dweight;
  void* dbias;
  double* workspace;
  std::int64_t rows, cols;
  DType dtype;
};
std::int64_t layer_norm_backward_workspace(std::int64_t rows, std::int64_t cols);
Status layer_norm_backward(const LayerNormBackward&, const CpuContext&);
Status layer_norm_backward(const LayerNormBackward&, const SimtContext&);
Status layer_norm_backward(const LayerNormBackward&, const CudaContext&);

}  // namespace basin::kernels

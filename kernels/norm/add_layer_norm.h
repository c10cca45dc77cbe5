// A residual connection and the layer normalisation behind it, in one pass.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// sum = x + residual and y = layer_norm(sum), row by row, as in layer_norm.h; all matrices
/// contiguous. weight and bias have cols elements or are null; mean and rstd have rows elements and
/// are written for the backward pass. sum may be x or residual.
struct AddLayerNormForward {
  const void* x;
  const void* residual;
  const void* weight;
  const void* bias;
  void* sum;
  void* y;
  void* mean;
  void* rstd;
  std::int64_t rows, cols;
  double eps;
  DType dtype;
};
Status add_layer_norm_forward(const AddLayerNormForward&, const CpuContext&);
Status add_layer_norm_forward(const AddLayerNormForward&, const SimtContext&);
Status add_layer_norm_forward(const AddLayerNormForward&, const CudaContext&);

/// dx = dsum + the slope of layer_norm(sum) given dy, which is the gradient by x and by residual;
/// dweight and dbias as in layer_norm.h. dsum, what reached the sum itself, may be null (0). dx, or
/// dweight and dbias together, may be null; dx may be dsum. `workspace` has room for
/// add_layer_norm_backward_workspace(rows, cols) doubles; it is only used for dweight and dbias.
struct AddLayerNormBackward {
  const void* sum;
  const void* weight;
  const void* mean;
  const void* rstd;
  const void* dsum;
  const void* dy;
  void* dx;
  void* dweight;
  void* dbias;
  double* workspace;
  std::int64_t rows, cols;
  DType dtype;
};
std::int64_t add_layer_norm_backward_workspace(std::int64_t rows, std::int64_t cols);
Status add_layer_norm_backward(const AddLayerNormBackward&, const CpuContext&);
Status add_layer_norm_backward(const AddLayerNormBackward&, const SimtContext&);
Status add_layer_norm_backward(const AddLayerNormBackward&, const CudaContext&);

}  // namespace basin::kernels

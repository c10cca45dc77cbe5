// Softmax and layer normalisation along the last dimension.
#pragma once

#include "tensor/tensor.h"

namespace basin {

/// See kernels::SoftmaxForward; x of rank >= 1, f32 or f64.
Tensor softmax(const Tensor& x);
Tensor softmax_backward(const Tensor& y, const Tensor& dy);

/// See kernels::LayerNormForward; weight and bias (cols) or both undefined.
struct LayerNormResult {
  Tensor y;
  Tensor mean, rstd;  ///< one per row, for the backward pass
};
LayerNormResult layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);

struct LayerNormGradients {
  Tensor dx, dweight, dbias;
};
/// dx is left undefined unless needed, dweight and dbias unless needed.
LayerNormGradients layer_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& mean,
                                       const Tensor& rstd, const Tensor& dy, bool need_x,
                                       bool need_weights);

/// sum = x + residual and y = layer_norm(sum): see kernels::AddLayerNormForward.
struct AddLayerNormResult {
  Tensor sum, y;
  Tensor mean, rstd;  ///< one per row, for the backward pass
};
AddLayerNormResult add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                                  const Tensor& bias, double eps);

/// dx is the gradient by x and by residual. dsum may be undefined (0).
LayerNormGradients add_layer_norm_backward(const Tensor& sum, const Tensor& weight,
                                           const Tensor& mean, const Tensor& rstd,
                                           const Tensor& dsum, const Tensor& dy, bool need_x,
                                           bool need_weights);

}  // namespace basin

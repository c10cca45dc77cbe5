// A recurrent layer with its input product, by cuDNN; recurrent.h has the recurrences by our own
// kernels.
#pragma once

#include "kernels/common/precision.h"
#include "kernels/recurrent/recurrent_layer.h"
#include "tensor/tensor.h"

namespace basin {

/// weight_ih (gates width, in), weight_hh (gates width, width), bias_ih and bias_hh (gates width).
struct RecurrentParameters {
  Tensor weight_ih, weight_hh, bias_ih, bias_hh;
};

struct RecurrentLayerResult {
  Tensor h;                 ///< (B, L, width)
  Tensor weights, reserve;  ///< for the backward pass
};
struct RecurrentLayerGradients {
  Tensor dx, dweight_ih, dweight_hh, dbias_ih, dbias_hh;
};

/// x (B, L, in), states that start at 0: see kernels::RecurrentLayer. Throws Error for shapes,
/// dtypes and precisions that do not fit, for tensors that are not on a GPU, and where there is no
/// cuDNN.
RecurrentLayerResult recurrent_layer(const Tensor& x, const RecurrentParameters& parameters,
                                     kernels::RecurrentCell cell, Precision precision);

/// `dh`: the gradient of h.
RecurrentLayerGradients recurrent_layer_backward(const Tensor& x,
                                                 const RecurrentLayerResult& forward,
                                                 const Tensor& dh, kernels::RecurrentCell cell,
                                                 Precision precision);

}  // namespace basin

// The recurrence of an Elman network.
#pragma once

#include "kernels/recurrent/rnn.h"
#include "tensor/tensor.h"

namespace basin {

/// h_t = f(x_t + weight h_(t-1)), h_0 = 0, for x (B, L, width) and weight (width, width).
Tensor rnn(const Tensor& x, const Tensor& weight, kernels::Nonlinearity nonlinearity);

struct RnnGradients {
  Tensor dx, dweight;
};
RnnGradients rnn_backward(const Tensor& h, const Tensor& weight, const Tensor& dh,
                          kernels::Nonlinearity nonlinearity);

}  // namespace basin

// The recurrences: Elman network, LSTM, GRU. The input part of all times is made by the caller, in
// one matrix product.
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

/// See kernels::LstmForward: x (B, L, 4 width), weight (4 width, width).
struct LstmResult {
  Tensor h;         ///< (B, L, width)
  Tensor gates, c;  ///< for the backward pass
};
LstmResult lstm(const Tensor& x, const Tensor& weight);
RnnGradients lstm_backward(const LstmResult& forward, const Tensor& weight, const Tensor& dh);

/// See kernels::GruForward: x (B, L, 3 width), weight (3 width, width), bias (3 width).
struct GruResult {
  Tensor h;      ///< (B, L, width)
  Tensor saved;  ///< for the backward pass
};
struct GruGradients {
  Tensor dx, dweight, dbias;
};
GruResult gru(const Tensor& x, const Tensor& weight, const Tensor& bias);
GruGradients gru_backward(const GruResult& forward, const Tensor& weight, const Tensor& dh);

}  // namespace basin

// Stacked Elman networks.
#pragma once

#include <deque>

#include "kernels/recurrent/rnn.h"
#include "nn/module.h"
#include "tensor/rng.h"

namespace basin::nn {

/// h_t = f(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), layer upon layer, h_0 = 0: (B,L,in) to (B,L,width),
/// the states of the last layer. Parameters weight_ih_l0 (width, in), weight_hh_l0 (width, width),
/// bias_ih_l0, bias_hh_l0 (width), then l1 and so on; they start uniform in +-1/sqrt(width).
class Rnn final : public Module {
 public:
  Rnn(std::int64_t in, std::int64_t width, std::int64_t layers, kernels::Nonlinearity nonlinearity,
      Rng& rng, DType dtype);
  Variable forward(const Variable& x) const;

 private:
  struct Layer {
    Variable weight_ih, weight_hh, bias_ih, bias_hh;
  };
  kernels::Nonlinearity nonlinearity_;
  std::deque<Layer> layers_;
};

}  // namespace basin::nn

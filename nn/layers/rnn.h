// Stacked recurrent networks: Elman, LSTM, GRU.
#pragma once

#include <deque>

#include "kernels/recurrent/recurrent_layer.h"
#include "kernels/recurrent/rnn.h"
#include "nn/module.h"
#include "tensor/rng.h"

namespace basin::nn {

/// Who computes a recurrent layer: the kernels of this project, or cuDNN on a GPU.
enum class Recurrence : std::uint8_t { own, cudnn };

/// What the three have in common: layer upon layer, states start at 0, (B,L,in) to (B,L,width), the
/// states of the last layer. With g gates, layer 0 has the parameters weight_ih_l0 (g width, in),
/// weight_hh_l0 (g width, width), bias_ih_l0, bias_hh_l0 (g width); then l1 and so on. They start
/// uniform in +-1/sqrt(width).
class RecurrentStack : public Module {
 public:
  Variable forward(const Variable& x) const;
  /// From now on. The parameters, and all but the last bits of the results, are the same.
  void compute_by(Recurrence recurrence) { recurrence_ = recurrence; }

 protected:
  /// Throws Error unless all sizes are positive.
  RecurrentStack(std::int64_t gates, std::int64_t in, std::int64_t width, std::int64_t layers,
                 Rng& rng, DType dtype);

  struct Layer {
    Variable weight_ih, weight_hh, bias_ih, bias_hh;
  };
  /// One layer over all times.
  virtual Variable run(const Variable& x, const Layer& layer) const = 0;
  virtual kernels::RecurrentCell cell() const = 0;

 private:
  std::deque<Layer> layers_;
  Recurrence recurrence_ = Recurrence::own;
};

/// h_t = f(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), f = tanh or relu.
class Rnn final : public RecurrentStack {
 public:
  Rnn(std::int64_t in, std::int64_t width, std::int64_t layers, kernels::Nonlinearity nonlinearity,
      Rng& rng, DType dtype);

 private:
  Variable run(const Variable& x, const Layer& layer) const override;
  kernels::RecurrentCell cell() const override;
  kernels::Nonlinearity nonlinearity_;
};

/// Gates i, f, g, o: see kernels/recurrent/lstm.h.
class Lstm final : public RecurrentStack {
 public:
  Lstm(std::int64_t in, std::int64_t width, std::int64_t layers, Rng& rng, DType dtype);

 private:
  Variable run(const Variable& x, const Layer& layer) const override;
  kernels::RecurrentCell cell() const override { return kernels::RecurrentCell::lstm; }
};

/// Gates r, z, n, the reset gate acting on the recurrent product and its bias: see
/// kernels/recurrent/gru.h.
class Gru final : public RecurrentStack {
 public:
  Gru(std::int64_t in, std::int64_t width, std::int64_t layers, Rng& rng, DType dtype);

 private:
  Variable run(const Variable& x, const Layer& layer) const override;
  kernels::RecurrentCell cell() const override { return kernels::RecurrentCell::gru; }
};

}  // namespace basin::nn

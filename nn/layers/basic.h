// The small layers every model is made of.
#pragma once

#include <cstdint>

#include "autograd/operations.h"
#include "nn/module.h"
#include "tensor/rng.h"

namespace basin::nn {

/// y = x weight^T + bias: (..., in) to (..., out). weight (out, in) and bias (out) start uniform in
/// +-1/sqrt(in).
class Linear final : public Module {
 public:
  Linear(std::int64_t in, std::int64_t out, Rng& rng, DType dtype, bool with_bias = true);
  Variable forward(const Variable& x) const;
  /// gelu(forward(x)), in one pass.
  Variable forward_gelu(const Variable& x) const;

 private:
  Variable weight_, bias_;
};

/// A row of weight (vocabulary, width) for each id: (...) i64 to (..., width). Starts normal with
/// the given deviation.
class Embedding final : public Module {
 public:
  Embedding(std::int64_t vocabulary, std::int64_t width, Rng& rng, DType dtype,
            double deviation = 0.02);
  Variable forward(const Tensor& ids) const;
  const Variable& weight() const { return weight_; }

 private:
  Variable weight_;
};

/// Normalises the last dimension, then scales by weight (starts at 1) and shifts by bias (0).
class LayerNorm final : public Module {
 public:
  LayerNorm(std::int64_t width, DType dtype, double eps = 1e-5);
  Variable forward(const Variable& x) const;
  /// x + residual, and forward() of that, in one pass.
  SumAndNorm forward_sum(const Variable& x, const Variable& residual) const;

 private:
  Variable weight_, bias_;
  double eps_;
};

/// Zeroes elements with probability p in training, and is the identity in evaluation. Every call in
/// training takes the next stream of `rng`, which the layer keeps a reference to.
class Dropout final : public Module {
 public:
  /// Throws Error unless 0 <= p < 1.
  Dropout(double p, Rng& rng);
  Variable forward(const Variable& x) const;

 private:
  double p_;
  Rng& rng_;
};

/// down(gelu(up(x))): width to hidden and back.
class Mlp final : public Module {
 public:
  Mlp(std::int64_t width, std::int64_t hidden, Rng& rng, DType dtype);
  Variable forward(const Variable& x) const;

 private:
  Linear up_, down_;
};

}  // namespace basin::nn

#include "nn/layers/basic.h"

#include <cmath>

#include "tensor/error.h"

namespace basin::nn {

Linear::Linear(std::int64_t in, std::int64_t out, Rng& rng, DType dtype, bool with_bias) {
  if (in < 1 || out < 1) {
    fail("[Linear] widths must be positive, got {} and {}", in, out);
  }
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  weight_ = add_parameter("weight", rng.uniform({out, in}, -bound, bound, dtype));
  if (with_bias) {
    bias_ = add_parameter("bias", rng.uniform({out}, -bound, bound, dtype));
  }
}

Variable Linear::forward(const Variable& x) const { return linear(x, weight_, bias_); }

Variable Linear::forward_gelu(const Variable& x) const { return linear_gelu(x, weight_, bias_); }

Embedding::Embedding(std::int64_t vocabulary, std::int64_t width, Rng& rng, DType dtype,
                     double deviation) {
  if (vocabulary < 1 || width < 1) {
    fail("[Embedding] vocabulary and width must be positive, got {} and {}", vocabulary, width);
  }
  weight_ = add_parameter("weight", rng.normal({vocabulary, width}, deviation, dtype));
}

Variable Embedding::forward(const Tensor& ids) const { return embedding(weight_, ids); }

LayerNorm::LayerNorm(std::int64_t width, DType dtype, double eps) : eps_(eps) {
  weight_ = add_parameter("weight", Tensor::full({width}, 1.0, dtype));
  bias_ = add_parameter("bias", Tensor::zeros({width}, dtype));
}

Variable LayerNorm::forward(const Variable& x) const { return layer_norm(x, weight_, bias_, eps_); }

SumAndNorm LayerNorm::forward_sum(const Variable& x, const Variable& residual) const {
  return add_layer_norm(x, residual, weight_, bias_, eps_);
}

Dropout::Dropout(double p, Rng& rng) : p_(p), rng_(rng) {
  if (!(p >= 0.0 && p < 1.0)) {
    fail("[Dropout] the probability must be in [0, 1), got {}", p);
  }
}

Variable Dropout::forward(const Variable& x) const {
  if (!training() || p_ == 0.0) {
    return x;
  }
  return dropout(x, p_, rng_.next_draw());
}

Mlp::Mlp(std::int64_t width, std::int64_t hidden, Rng& rng, DType dtype)
    : up_(width, hidden, rng, dtype), down_(hidden, width, rng, dtype) {
  add_module("up", up_);
  add_module("down", down_);
}

Variable Mlp::forward(const Variable& x) const { return down_.forward(up_.forward_gelu(x)); }

}  // namespace basin::nn

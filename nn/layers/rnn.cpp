#include "nn/layers/rnn.h"

#include <cmath>

#include "autograd/operations.h"
#include "tensor/error.h"

namespace basin::nn {

Rnn::Rnn(std::int64_t in, std::int64_t width, std::int64_t layers,
         kernels::Nonlinearity nonlinearity, Rng& rng, DType dtype)
    : nonlinearity_(nonlinearity) {
  if (in < 1 || width < 1 || layers < 1) {
    fail("[Rnn] widths and layers must be positive, got in {}, width {}, layers {}", in, width,
         layers);
  }
  const double bound = 1.0 / std::sqrt(static_cast<double>(width));
  for (std::int64_t l = 0; l < layers; ++l) {
    const auto parameter = [&](const char* name, const Shape& shape) {
      return add_parameter(fmt::format("{}_l{}", name, l), rng.uniform(shape, -bound, bound, dtype));
    };
    Layer layer;
    layer.weight_ih = parameter("weight_ih", {width, l == 0 ? in : width});
    layer.weight_hh = parameter("weight_hh", {width, width});
    layer.bias_ih = parameter("bias_ih", {width});
    layer.bias_hh = parameter("bias_hh", {width});
    layers_.push_back(layer);
  }
}

Variable Rnn::forward(const Variable& x) const {
  Variable h = x;
  for (const Layer& layer : layers_) {
    // The input part of all times in one product; only the recurrent part has to go step by step.
    const Variable input = linear(h, layer.weight_ih, add(layer.bias_ih, layer.bias_hh));
    h = rnn(input, layer.weight_hh, nonlinearity_);
  }
  return h;
}

}  // namespace basin::nn

#include "nn/layers/rnn.h"

#include <cmath>

#include "autograd/operations.h"
#include "tensor/error.h"

namespace basin::nn {

RecurrentStack::RecurrentStack(std::int64_t gates, std::int64_t in, std::int64_t width,
                               std::int64_t layers, Rng& rng, DType dtype) {
  if (in < 1 || width < 1 || layers < 1) {
    fail("[Rnn] widths and layers must be positive, got in {}, width {}, layers {}", in, width,
         layers);
  }
  const double bound = 1.0 / std::sqrt(static_cast<double>(width));
  for (std::int64_t l = 0; l < layers; ++l) {
    const auto parameter = [&](const char* name, const Shape& shape) {
      return add_parameter(fmt::format("{}_l{}", name, l),
                           rng.uniform(shape, -bound, bound, dtype));
    };
    Layer layer;
    layer.weight_ih = parameter("weight_ih", {gates * width, l == 0 ? in : width});
    layer.weight_hh = parameter("weight_hh", {gates * width, width});
    layer.bias_ih = parameter("bias_ih", {gates * width});
    layer.bias_hh = parameter("bias_hh", {gates * width});
    layers_.push_back(layer);
  }
}

Variable RecurrentStack::forward(const Variable& x) const {
  Variable h = x;
  for (const Layer& layer : layers_) {
    h = recurrence_ == Recurrence::own ? run(h, layer)
                                       : recurrent_layer(h, layer.weight_ih, layer.weight_hh,
                                                         layer.bias_ih, layer.bias_hh, cell());
  }
  return h;
}

// In all three, the input part of all times is one product; only the recurrent part has to go step
// by step.

Rnn::Rnn(std::int64_t in, std::int64_t width, std::int64_t layers,
         kernels::Nonlinearity nonlinearity, Rng& rng, DType dtype)
    : RecurrentStack(1, in, width, layers, rng, dtype), nonlinearity_(nonlinearity) {}

kernels::RecurrentCell Rnn::cell() const {
  return nonlinearity_ == kernels::Nonlinearity::tanh ? kernels::RecurrentCell::tanh
                                                      : kernels::RecurrentCell::relu;
}

Variable Rnn::run(const Variable& x, const Layer& layer) const {
  return rnn(linear(x, layer.weight_ih, add(layer.bias_ih, layer.bias_hh)), layer.weight_hh,
             nonlinearity_);
}

Lstm::Lstm(std::int64_t in, std::int64_t width, std::int64_t layers, Rng& rng, DType dtype)
    : RecurrentStack(4, in, width, layers, rng, dtype) {}

Variable Lstm::run(const Variable& x, const Layer& layer) const {
  return lstm(linear(x, layer.weight_ih, add(layer.bias_ih, layer.bias_hh)), layer.weight_hh);
}

Gru::Gru(std::int64_t in, std::int64_t width, std::int64_t layers, Rng& rng, DType dtype)
    : RecurrentStack(3, in, width, layers, rng, dtype) {}

Variable Gru::run(const Variable& x, const Layer& layer) const {
  return gru(linear(x, layer.weight_ih, layer.bias_ih), layer.weight_hh, layer.bias_hh);
}

}  // namespace basin::nn

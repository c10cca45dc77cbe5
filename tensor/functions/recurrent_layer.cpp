#include "tensor/functions/recurrent_layer.h"

#include "tensor/check.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

// Of what is left to the library to arrange.
Tensor bytes_of(std::int64_t bytes, Device device) {
  return Tensor::empty({(bytes + 7) / 8}, DType::f64, device);
}

kernels::RecurrentLayer layer_of(const Tensor& x, std::int64_t width, kernels::RecurrentCell cell,
                                 Precision precision) {
  return {cell, x.size(0), x.size(1), x.size(2), width, x.dtype(), precision};
}

// function(context) where recurrent_layer_*() can be called.
template <class F>
void on_gpu(const char* where, const Tensor& x, F&& function) {
  if constexpr (kernels::kCudaBuilt) {
    check(function(cuda_context()), where, x);
  } else {
    fail("[{}] this build is without CUDA", where);
  }
}

void check_inputs(const Tensor& x, const RecurrentParameters& p, kernels::RecurrentCell cell,
                  Precision precision) {
  check_same_floating("recurrent_layer", x, p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh);
  check_precision("recurrent_layer", precision, x);
  const std::int64_t gates = kernels::gates_of(cell);
  const std::int64_t width = p.weight_hh.rank() == 2 ? p.weight_hh.size(1) : 0;
  const Shape bias = {gates * width};
  if (x.rank() != 3 || !(p.weight_ih.shape() == Shape{gates * width, x.size(-1)}) ||
      !(p.weight_hh.shape() == Shape{gates * width, width}) || !(p.bias_ih.shape() == bias) ||
      !(p.bias_hh.shape() == bias)) {
    fail(
        "[recurrent_layer] needs x (B, L, in), weights ({0} width, in) and ({0} width, width) and "
        "two biases ({0} width); got {1}, {2}, {3}, {4} and {5}",
        gates, describe(x), describe(p.weight_ih), describe(p.weight_hh), describe(p.bias_ih),
        describe(p.bias_hh));
  }
  check(kernels::check_recurrent_layer(layer_of(x, width, cell, precision)), "recurrent_layer", x,
        p.weight_hh);
  if (x.device() != Device::cuda) {
    fail(
        "[recurrent_layer] cuDNN computes on a GPU; got {} on {}. Use --device cuda, or our own "
        "recurrences",
        describe(x), name_of(x.device()));
  }
}

}  // namespace

RecurrentLayerResult recurrent_layer(const Tensor& x, const RecurrentParameters& parameters,
                                     kernels::RecurrentCell cell, Precision precision) {
  check_inputs(x, parameters, cell, precision);
  const Tensor input = x.contiguous();
  const Tensor weight_ih = parameters.weight_ih.contiguous();
  const Tensor weight_hh = parameters.weight_hh.contiguous();
  const Tensor bias_ih = parameters.bias_ih.contiguous();
  const Tensor bias_hh = parameters.bias_hh.contiguous();
  const kernels::RecurrentLayer layer = layer_of(x, weight_hh.size(1), cell, precision);
  RecurrentLayerResult result;
  on_gpu("recurrent_layer", x, [&](const auto& context) {
    kernels::RecurrentLayerSizes sizes{};
    const kernels::Status status = kernels::recurrent_layer_sizes(layer, sizes, context);
    if (!status.ok()) {
      return status;
    }
    result = {Tensor::empty({layer.B, layer.L, layer.width}, x.dtype(), x.device()),
              bytes_of(sizes.weights, x.device()), bytes_of(sizes.reserve, x.device())};
    Workspace workspace(sizes.workspace, x.device());
    return kernels::recurrent_layer_forward(
        {layer, input.raw(), weight_ih.raw(), weight_hh.raw(), bias_ih.raw(), bias_hh.raw(),
         result.h.mutable_raw(), result.weights.mutable_raw(), result.reserve.mutable_raw(),
         workspace.data()},
        context);
  });
  return result;
}

RecurrentLayerGradients recurrent_layer_backward(const Tensor& x,
                                                 const RecurrentLayerResult& forward,
                                                 const Tensor& dh, kernels::RecurrentCell cell,
                                                 Precision precision) {
  check_same_floating("recurrent_layer_backward", x, forward.h, dh);
  const Tensor input = x.contiguous();
  const Tensor gradient = dh.contiguous();
  const std::int64_t width = forward.h.size(2);
  const std::int64_t rows = kernels::gates_of(cell) * width;
  const kernels::RecurrentLayer layer = layer_of(x, width, cell, precision);
  const auto empty = [&](const Shape& shape) {
    return Tensor::empty(shape, x.dtype(), x.device());
  };
  RecurrentLayerGradients result{empty(x.shape()), empty({rows, x.size(2)}), empty({rows, width}),
                                 empty({rows}), empty({rows})};
  // cuDNN writes to it, and the graph may run backward once more.
  Tensor reserve = bytes_of(8 * forward.reserve.numel(), x.device());
  reserve.copy_from(forward.reserve);
  on_gpu("recurrent_layer_backward", x, [&](const auto& context) {
    kernels::RecurrentLayerSizes sizes{};
    const kernels::Status status = kernels::recurrent_layer_sizes(layer, sizes, context);
    if (!status.ok()) {
      return status;
    }
    Workspace dweights(sizes.weights, x.device());
    Workspace workspace(sizes.workspace, x.device());
    return kernels::recurrent_layer_backward(
        {layer, input.raw(), forward.h.raw(), gradient.raw(), forward.weights.raw(),
         reserve.mutable_raw(), dweights.data(), result.dx.mutable_raw(),
         result.dweight_ih.mutable_raw(), result.dweight_hh.mutable_raw(),
         result.dbias_ih.mutable_raw(), result.dbias_hh.mutable_raw(), workspace.data()},
        context);
  });
  return result;
}

}  // namespace basin

#include "tensor/functions/normalise.h"

#include <vector>

#include "kernels/norm/add_layer_norm.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/softmax/softmax.h"
#include "tensor/check.h"

namespace basin {

namespace {

struct Rows {
  std::int64_t rows, cols;
};

void check_weights(const Tensor& x, const Tensor& weight, const Tensor& bias, const char* where) {
  for (const Tensor* operand : {&weight, &bias}) {
    if (operand->defined()) {
      check_same_floating(where, x, *operand);
      if (!(operand->shape() == Shape{x.size(-1)}) || !operand->is_contiguous()) {
        fail("[{}] weight and bias must be contiguous ({}), got {}", where, x.size(-1),
             describe(*operand));
      }
    }
  }
}

Rows rows_of(const Tensor& x, const char* where) {
  if (x.rank() < 1) {
    fail("[{}] needs at least one dimension, got {}", where, describe(x));
  }
  const std::int64_t cols = x.size(-1);
  return {cols == 0 ? 0 : x.numel() / cols, cols};
}

}  // namespace

Tensor softmax(const Tensor& x) {
  check_same_floating("softmax", x);
  const auto [rows, cols] = rows_of(x, "softmax");
  const Tensor source = x.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const kernels::SoftmaxForward p{source.raw(), y.mutable_raw(), rows, cols, x.dtype()};
  check(on_device(x.device(), [&](const auto& at) { return kernels::softmax_forward(p, at); }),
        "softmax", x);
  return y;
}

Tensor softmax_backward(const Tensor& y, const Tensor& dy) {
  check_same_floating("softmax_backward", y, dy);
  const auto [rows, cols] = rows_of(y, "softmax_backward");
  const Tensor value = y.contiguous();
  const Tensor gradient = dy.contiguous();
  Tensor dx = Tensor::empty(y.shape(), y.dtype(), y.device());
  const kernels::SoftmaxBackward p{value.raw(), gradient.raw(), dx.mutable_raw(),
                                   rows,        cols,           y.dtype()};
  check(on_device(y.device(), [&](const auto& at) { return kernels::softmax_backward(p, at); }),
        "softmax_backward", y, dy);
  return dx;
}

LayerNormResult layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check_same_floating("layer_norm", x);
  const auto [rows, cols] = rows_of(x, "layer_norm");
  check_weights(x, weight, bias, "layer_norm");
  const Tensor source = x.contiguous();
  LayerNormResult result{Tensor::empty(x.shape(), x.dtype(), x.device()),
                         Tensor::empty({rows}, x.dtype(), x.device()),
                         Tensor::empty({rows}, x.dtype(), x.device())};
  const kernels::LayerNormForward p{source.raw(),
                                    weight.defined() ? weight.raw() : nullptr,
                                    bias.defined() ? bias.raw() : nullptr,
                                    result.y.mutable_raw(),
                                    result.mean.mutable_raw(),
                                    result.rstd.mutable_raw(),
                                    rows,
                                    cols,
                                    cols,
                                    cols,
                                    eps,
                                    x.dtype()};
  check(on_device(x.device(), [&](const auto& at) { return kernels::layer_norm_forward(p, at); }),
        "layer_norm", x);
  return result;
}

LayerNormGradients layer_norm_backward(const Tensor& x, const Tensor& weight, const Tensor& mean,
                                       const Tensor& rstd, const Tensor& dy, bool need_x,
                                       bool need_weights) {
  check_same_floating("layer_norm_backward", x, dy);
  const auto [rows, cols] = rows_of(x, "layer_norm_backward");
  const Tensor source = x.contiguous();
  const Tensor gradient = dy.contiguous();
  LayerNormGradients result;
  kernels::LayerNormBackward p{};
  p.x = source.raw();
  p.weight = weight.defined() ? weight.raw() : nullptr;
  p.mean = mean.raw();
  p.rstd = rstd.raw();
  p.dy = gradient.raw();
  p.rows = rows;
  p.cols = cols;
  p.dtype = x.dtype();
  Tensor workspace;
  if (need_x) {
    result.dx = Tensor::empty(x.shape(), x.dtype(), x.device());
    p.dx = result.dx.mutable_raw();
  }
  if (need_weights) {
    result.dweight = Tensor::empty({cols}, x.dtype(), x.device());
    result.dbias = Tensor::empty({cols}, x.dtype(), x.device());
    workspace =
        Tensor::empty({kernels::layer_norm_backward_workspace(rows, cols)}, DType::f64, x.device());
    p.dweight = result.dweight.mutable_raw();
    p.dbias = result.dbias.mutable_raw();
    p.workspace = static_cast<double*>(workspace.mutable_raw());
  }
  check(on_device(x.device(), [&](const auto& at) { return kernels::layer_norm_backward(p, at); }),
        "layer_norm_backward", x, dy);
  return result;
}

AddLayerNormResult add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                                  const Tensor& bias, double eps) {
  check_same_floating("add_layer_norm", x, residual);
  const auto [rows, cols] = rows_of(x, "add_layer_norm");
  if (!(x.shape() == residual.shape())) {
    fail("[add_layer_norm] x and residual must have one shape, got {} and {}", describe(x),
         describe(residual));
  }
  check_weights(x, weight, bias, "add_layer_norm");
  const Tensor first = x.contiguous();
  const Tensor second = residual.contiguous();
  AddLayerNormResult result{Tensor::empty(x.shape(), x.dtype(), x.device()),
                            Tensor::empty(x.shape(), x.dtype(), x.device()),
                            Tensor::empty({rows}, x.dtype(), x.device()),
                            Tensor::empty({rows}, x.dtype(), x.device())};
  const kernels::AddLayerNormForward p{first.raw(),
                                       second.raw(),
                                       weight.defined() ? weight.raw() : nullptr,
                                       bias.defined() ? bias.raw() : nullptr,
                                       result.sum.mutable_raw(),
                                       result.y.mutable_raw(),
                                       result.mean.mutable_raw(),
                                       result.rstd.mutable_raw(),
                                       rows,
                                       cols,
                                       eps,
                                       x.dtype()};
  check(
      on_device(x.device(), [&](const auto& at) { return kernels::add_layer_norm_forward(p, at); }),
      "add_layer_norm", x, residual);
  return result;
}

LayerNormGradients add_layer_norm_backward(const Tensor& sum, const Tensor& weight,
                                           const Tensor& mean, const Tensor& rstd,
                                           const Tensor& dsum, const Tensor& dy, bool need_x,
                                           bool need_weights) {
  check_same_floating("add_layer_norm_backward", sum, dy);
  const auto [rows, cols] = rows_of(sum, "add_layer_norm_backward");
  const Tensor gradient = dy.contiguous();
  const Tensor more = dsum.defined() ? dsum.contiguous() : Tensor();
  LayerNormGradients result;
  kernels::AddLayerNormBackward p{};
  p.sum = sum.raw();
  p.weight = weight.defined() ? weight.raw() : nullptr;
  p.mean = mean.raw();
  p.rstd = rstd.raw();
  p.dsum = more.defined() ? more.raw() : nullptr;
  p.dy = gradient.raw();
  p.rows = rows;
  p.cols = cols;
  p.dtype = sum.dtype();
  Tensor workspace;
  if (need_x) {
    result.dx = Tensor::empty(sum.shape(), sum.dtype(), sum.device());
    p.dx = result.dx.mutable_raw();
  }
  if (need_weights) {
    result.dweight = Tensor::empty({cols}, sum.dtype(), sum.device());
    result.dbias = Tensor::empty({cols}, sum.dtype(), sum.device());
    workspace = Tensor::empty({kernels::add_layer_norm_backward_workspace(rows, cols)}, DType::f64,
                              sum.device());
    p.dweight = result.dweight.mutable_raw();
    p.dbias = result.dbias.mutable_raw();
    p.workspace = static_cast<double*>(workspace.mutable_raw());
  }
  check(on_device(sum.device(),
                  [&](const auto& at) { return kernels::add_layer_norm_backward(p, at); }),
        "add_layer_norm_backward", sum, dy);
  return result;
}

}  // namespace basin

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
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  check(kernels::softmax_forward({source.raw(), y.mutable_raw(), rows, cols, x.dtype()},
                                 cpu_context()),
        "softmax", x);
  return y;
}

Tensor softmax_backward(const Tensor& y, const Tensor& dy) {
  check_same_floating("softmax_backward", y, dy);
  const auto [rows, cols] = rows_of(y, "softmax_backward");
  const Tensor value = y.contiguous();
  const Tensor gradient = dy.contiguous();
  Tensor dx = Tensor::empty(y.shape(), y.dtype());
  check(kernels::softmax_backward(
            {value.raw(), gradient.raw(), dx.mutable_raw(), rows, cols, y.dtype()}, cpu_context()),
        "softmax_backward", y, dy);
  return dx;
}

LayerNormResult layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check_same_floating("layer_norm", x);
  const auto [rows, cols] = rows_of(x, "layer_norm");
  check_weights(x, weight, bias, "layer_norm");
  const Tensor source = x.contiguous();
  LayerNormResult result{Tensor::empty(x.shape(), x.dtype()), Tensor::empty({rows}, x.dtype()),
                         Tensor::empty({rows}, x.dtype())};
  check(kernels::layer_norm_forward({source.raw(), weight.defined() ? weight.raw() : nullptr,
                                     bias.defined() ? bias.raw() : nullptr, result.y.mutable_raw(),
                                     result.mean.mutable_raw(), result.rstd.mutable_raw(), rows,
                                     cols, cols, cols, eps, x.dtype()},
                                    cpu_context()),
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
    result.dx = Tensor::empty(x.shape(), x.dtype());
    p.dx = result.dx.mutable_raw();
  }
  if (need_weights) {
    result.dweight = Tensor::empty({cols}, x.dtype());
    result.dbias = Tensor::empty({cols}, x.dtype());
    workspace = Tensor::empty({kernels::layer_norm_backward_workspace(rows, cols)}, DType::f64);
    p.dweight = result.dweight.mutable_raw();
    p.dbias = result.dbias.mutable_raw();
    p.workspace = workspace.mutable_data<double>();
  }
  check(kernels::layer_norm_backward(p, cpu_context()), "layer_norm_backward", x, dy);
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
  AddLayerNormResult result{Tensor::empty(x.shape(), x.dtype()),
                            Tensor::empty(x.shape(), x.dtype()), Tensor::empty({rows}, x.dtype()),
                            Tensor::empty({rows}, x.dtype())};
  check(
      kernels::add_layer_norm_forward(
          {first.raw(), second.raw(), weight.defined() ? weight.raw() : nullptr,
           bias.defined() ? bias.raw() : nullptr, result.sum.mutable_raw(), result.y.mutable_raw(),
           result.mean.mutable_raw(), result.rstd.mutable_raw(), rows, cols, eps, x.dtype()},
          cpu_context()),
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
    result.dx = Tensor::empty(sum.shape(), sum.dtype());
    p.dx = result.dx.mutable_raw();
  }
  if (need_weights) {
    result.dweight = Tensor::empty({cols}, sum.dtype());
    result.dbias = Tensor::empty({cols}, sum.dtype());
    workspace = Tensor::empty({kernels::add_layer_norm_backward_workspace(rows, cols)}, DType::f64);
    p.dweight = result.dweight.mutable_raw();
    p.dbias = result.dbias.mutable_raw();
    p.workspace = workspace.mutable_data<double>();
  }
  check(kernels::add_layer_norm_backward(p, cpu_context()), "add_layer_norm_backward", sum, dy);
  return result;
}

}  // namespace basin

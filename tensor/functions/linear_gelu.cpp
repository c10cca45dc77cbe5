#include "tensor/functions/linear_gelu.h"

#include "kernels/gemm/linear_gelu.h"
#include "tensor/check.h"
#include "tensor/workspace.h"

namespace basin {

LinearGeluResult linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias, bool keep_z,
                             Precision precision) {
  check_same_floating("linear_gelu", x, weight);
  check_precision("linear_gelu", precision, x);
  if (x.rank() < 1 || weight.rank() != 2 || x.size(-1) != weight.size(1)) {
    fail("[linear_gelu] x (..., in) and weight (out, in) do not fit: {} and {}", describe(x),
         describe(weight));
  }
  if (bias.defined()) {
    check_same_floating("linear_gelu", x, bias);
    if (!(bias.shape() == Shape{weight.size(0)})) {
      fail("[linear_gelu] bias must be ({}), got {}", weight.size(0), describe(bias));
    }
  }
  Shape shape = x.shape();
  shape[shape.rank() - 1] = weight.size(0);
  LinearGeluResult result{Tensor::empty(shape, x.dtype(), x.device()), Tensor()};
  if (keep_z) {
    result.z = Tensor::empty(shape, x.dtype(), x.device());
  }
  const Tensor rows = x.contiguous();
  const Tensor matrix = weight.contiguous();
  const Tensor addend = bias.defined() ? bias.contiguous() : Tensor();
  kernels::LinearGeluForward p{};
  p.x = rows.raw();
  p.weight = matrix.raw();
  p.bias = addend.defined() ? addend.raw() : nullptr;
  p.y = result.y.mutable_raw();
  p.z = keep_z ? result.z.mutable_raw() : p.y;
  p.in = weight.size(1);
  p.out = weight.size(0);
  p.rows = 1;
  for (int d = 0; d + 1 < x.rank(); ++d) {
    p.rows *= x.size(d);
  }
  p.dtype = x.dtype();
  p.precision = precision;
  Workspace workspace(
      on_device(x.device(), [&](const auto& at) { return kernels::linear_gelu_workspace(p, at); }),
      x.device());
  p.workspace = workspace.data();
  check(on_device(x.device(), [&](const auto& at) { return kernels::linear_gelu_forward(p, at); }),
        "linear_gelu", x, weight);
  return result;
}

LinearGeluGradients linear_gelu_backward(const Tensor& z, const Tensor& dy, bool need_bias) {
  check_same_floating("linear_gelu_backward", z, dy);
  const std::int64_t out = z.size(-1);
  const std::int64_t rows = out == 0 ? 0 : z.numel() / out;
  const Tensor gradient = dy.contiguous();
  LinearGeluGradients result{Tensor::empty(z.shape(), z.dtype(), z.device()), Tensor()};
  kernels::LinearGeluBackward p{};
  p.z = z.raw();
  p.dy = gradient.raw();
  p.dz = result.dz.mutable_raw();
  p.rows = rows;
  p.out = out;
  p.dtype = z.dtype();
  Tensor workspace;
  if (need_bias) {
    result.dbias = Tensor::empty({out}, z.dtype(), z.device());
    workspace =
        Tensor::empty({kernels::linear_gelu_backward_workspace(rows, out)}, DType::f64, z.device());
    p.dbias = result.dbias.mutable_raw();
    p.workspace = static_cast<double*>(workspace.mutable_raw());
  }
  check(on_device(z.device(), [&](const auto& at) { return kernels::linear_gelu_backward(p, at); }),
        "linear_gelu_backward", z, dy);
  return result;
}

}  // namespace basin

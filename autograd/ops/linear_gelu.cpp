// y = gelu(z) with z = x W^T + bias, gelu(z) = z Phi(z). From dz = dy (Phi(z) + z Phi'(z)) follow
// dx = dz W, dW = dz^T x, dbias = sum of dz over rows. Kept for that: x, W and z; nothing of it is
// recomputed but Phi. All three products are made in the precision that the operation found.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "tensor/functions/linear_gelu.h"
#include "tensor/functions/matmul.h"

namespace basin {

Variable linear_gelu(const Variable& x, const Variable& weight, const Variable& bias) {
  const Precision precision = product_precision();
  const LinearGeluResult result =
      linear_gelu(x.value(), weight.value(), bias.defined() ? bias.value() : Tensor(),
                  records_gradients({x, weight, bias}), precision);
  return record("linear_gelu", {x, weight, bias}, result.y,
                [x = Saved(x.value()), weight = Saved(weight.value()), z = Saved(result.z),
                 precision](const Tensor& dy, std::span<const bool> needed) {
                  const LinearGeluGradients g = linear_gelu_backward(z.get(), dy, needed[2]);
                  const Tensor rows = fold_leading(g.dz, 1);
                  std::vector<Tensor> gradients = {Tensor(), Tensor(), g.dbias};
                  if (needed[0]) {
                    gradients[0] = matmul(rows, weight.get(), precision).view(x.get().shape());
                  }
                  if (needed[1]) {
                    gradients[1] =
                        matmul(rows.transpose(0, 1), fold_leading(x.get(), 1), precision);
                  }
                  return gradients;
                });
}

namespace {

using In = const std::vector<Variable>&;

const RegisterOp registered_linear_gelu(
    {"linear_gelu",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape) { return rng.normal(shape, 1.0, DType::f64); };
       const auto call = [](In in) { return linear_gelu(in[0], in[1], in[2]); };
       return std::vector<OpSample>{
           {"with bias", {draw({2, 3, 4}), draw({5, 4}), draw({5})}, call},
           {"without bias",
            {draw({3, 4}), draw({5, 4})},
            [](In in) { return linear_gelu(in[0], in[1], Variable()); }},
           {"one row", {draw({4}), draw({5, 4}), draw({5})}, call},
           {"transposed",
            {draw({4, 3}).transpose(0, 1), draw({4, 5}).transpose(0, 1), draw({5})},
            call},
           {"more rows than a piece", {draw({70, 2}), draw({3, 2}), draw({3})}, call},
           {"of the same matrix", {draw({3, 3}), draw({3})}, [](In in) {
              return linear_gelu(in[0], in[0], in[1]);
            }}};
     },
     [] {
       const Variable x(Tensor::zeros({2, 3}, DType::f32));
       return std::vector<OpError>{
           {"widths",
            [=] {
              (void)linear_gelu(x, Variable(Tensor::zeros({5, 4}, DType::f32)), Variable());
            },
            "do not fit"},
           {"bias",
            [=] {
              (void)linear_gelu(x, Variable(Tensor::zeros({5, 3}, DType::f32)),
                                Variable(Tensor::zeros({4}, DType::f32)));
            },
            "bias must be (5)"},
           {"dtypes",
            [=] {
              (void)linear_gelu(x, Variable(Tensor::zeros({5, 3}, DType::f64)), Variable());
            },
            "differ in dtype"}};
     }});

}  // namespace

}  // namespace basin

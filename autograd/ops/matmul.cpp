// y = a b: da = dy b^T and db = a^T dy. Where b has no leading dimensions, db sums over those of a.
// linear: y = x W^T + bias: dx = dy W, dW = dy^T x, dbias = sum of dy over rows.
// All products of an operation are made in the precision that it found.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/reduce.h"

namespace basin {

namespace {

Tensor as_rows(const Tensor& x) { return x.rank() == 2 ? x : fold_leading(x, 1); }

}  // namespace

Variable matmul(const Variable& a, const Variable& b) {
  const Precision precision = product_precision();
  return record("matmul", {a, b}, matmul(a.value(), b.value(), precision),
                [a = Saved(a.value()), b = Saved(b.value()), precision](
                    const Tensor& dy, std::span<const bool> needed) {
                  std::vector<Tensor> gradients(2);
                  if (needed[0]) {
                    gradients[0] = matmul(dy, b.get().transpose(-2, -1), precision);
                  }
                  if (needed[1]) {
                    const bool shared = b.get().rank() == 2;
                    gradients[1] =
                        shared ? matmul(as_rows(a.get()).transpose(0, 1), as_rows(dy), precision)
                               : matmul(a.get().transpose(-2, -1), dy, precision);
                  }
                  return gradients;
                });
}

Variable linear(const Variable& x, const Variable& weight, const Variable& bias) {
  const Tensor bias_value = bias.defined() ? bias.value() : Tensor();
  const Precision precision = product_precision();
  return record("linear", {x, weight, bias},
                linear(x.value(), weight.value(), bias_value, precision),
                [x = Saved(x.value()), weight = Saved(weight.value()), precision](
                    const Tensor& dy, std::span<const bool> needed) {
                  std::vector<Tensor> gradients(3);
                  const Tensor rows = as_rows(dy);
                  if (needed[0]) {
                    gradients[0] = matmul(rows, weight.get(), precision).view(x.get().shape());
                  }
                  if (needed[1]) {
                    gradients[1] = matmul(rows.transpose(0, 1), as_rows(x.get()), precision);
                  }
                  if (needed[2]) {
                    gradients[2] = sum(rows, 0);
                  }
                  return gradients;
                });
}

namespace {

using In = const std::vector<Variable>&;

const RegisterOp registered_matmul(
    {"matmul",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape) { return rng.normal(shape, 1.0, DType::f64); };
       const auto product = [](In in) { return matmul(in[0], in[1]); };
       return std::vector<OpSample>{
           {"matrices", {draw({3, 4}), draw({4, 5})}, product},
           {"leading dimensions on the left", {draw({2, 3, 4}), draw({4, 5})}, product},
           {"batched", {draw({2, 3, 4}), draw({2, 4, 5})}, product},
           {"four dimensions", {draw({2, 2, 3, 4}), draw({2, 2, 4, 1})}, product},
           {"transposed operands",
            {draw({4, 3}).transpose(0, 1), draw({5, 4}).transpose(0, 1)},
            product},
           {"transposed batch",
            {draw({3, 2, 4}).transpose(0, 1), draw({2, 5, 4}).transpose(1, 2)},
            product},
           {"vector outer product", {draw({3, 1}), draw({1, 5})}, product}};
     },
     [] {
       return std::vector<OpError>{{"inner extents",
                                    [] {
                                      (void)matmul(Variable(Tensor::zeros({2, 3}, DType::f32)),
                                                   Variable(Tensor::zeros({4, 2}, DType::f32)));
                                    },
                                    "(2, 3) f32 and (4, 2) f32"},
                                   {"leading dimensions",
                                    [] {
                                      (void)matmul(Variable(Tensor::zeros({2, 2, 3}, DType::f32)),
                                                   Variable(Tensor::zeros({4, 3, 2}, DType::f32)));
                                    },
                                    "leading dimensions differ"}};
     }});

const RegisterOp registered_linear(
    {"linear",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape) { return rng.normal(shape, 1.0, DType::f64); };
       return std::vector<OpSample>{{"with bias",
                                     {draw({2, 3, 4}), draw({5, 4}), draw({5})},
                                     [](In in) { return linear(in[0], in[1], in[2]); }},
                                    {"without bias",
                                     {draw({3, 4}), draw({5, 4})},
                                     [](In in) { return linear(in[0], in[1], Variable()); }},
                                    {"one row", {draw({4}), draw({5, 4}), draw({5})}, [](In in) {
                                       return linear(in[0], in[1], in[2]);
                                     }}};
     },
     [] {
       return std::vector<OpError>{{"widths",
                                    [] {
                                      (void)linear(Variable(Tensor::zeros({2, 3}, DType::f32)),
                                                   Variable(Tensor::zeros({5, 4}, DType::f32)),
                                                   Variable());
                                    },
                                    "do not fit"}};
     }});

}  // namespace

}  // namespace basin

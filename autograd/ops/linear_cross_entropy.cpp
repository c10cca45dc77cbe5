// The mean over valid rows of the cross-entropy of logits x W^T + b. Its gradients are computed
// with the value, while the logits are in the cache, and wait for the backward pass; there they
// take the factor dloss. The logits themselves are never stored.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "autograd/product_precision.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/linear_cross_entropy.h"

namespace basin {

Variable linear_cross_entropy(const Variable& x, const Variable& weight, const Variable& bias,
                              const Tensor& targets, std::int64_t ignore_index,
                              double label_smoothing) {
  std::vector<Variable> inputs = {x, weight};
  if (bias.defined()) {
    inputs.push_back(bias);
  }
  const bool differentiates = records_gradients(inputs);
  const LinearCrossEntropyResult result = linear_cross_entropy(
      x.value(), weight.value(), bias.defined() ? bias.value() : Tensor(), targets, ignore_index,
      label_smoothing, differentiates, product_precision());
  return record("linear_cross_entropy", inputs, result.loss,
                [result, has_bias = bias.defined()](const Tensor& dy, auto) {
                  // Nothing waits for a GPU here: there the factor is multiplied in unseen.
                  const bool here = dy.device() == Device::cpu;
                  const double factor = here ? dy.item() : 0.0;
                  const auto scaled = [&](const Tensor& gradient) {
                    return !here           ? mul(gradient, dy)
                           : factor == 1.0 ? gradient
                                           : affine(gradient, factor, 0.0);
                  };
                  std::vector<Tensor> gradients = {scaled(result.dx), scaled(result.dweight)};
                  if (has_bias) {
                    gradients.push_back(scaled(result.dbias));
                  }
                  return gradients;
                });
}

namespace {

using In = const std::vector<Variable>&;

const RegisterOp registered_linear_cross_entropy(
    {"linear_cross_entropy",
     [](Rng& rng) {
       const auto inputs = [&](std::int64_t classes) {
         return std::vector<Tensor>{rng.normal({2, 3, 4}, 1.0, DType::f64),
                                    rng.normal({classes, 4}, 1.0, DType::f64),
                                    rng.normal({classes}, 1.0, DType::f64)};
       };
       const Tensor targets =
           Tensor::from<std::int64_t>({2, 3}, std::vector<std::int64_t>{0, 4, -100, 2, 2, 1});
       std::vector<Tensor> no_bias = inputs(5);
       no_bias.pop_back();
       return std::vector<OpSample>{
           {"ignored row", inputs(5),
            [=](In in) { return linear_cross_entropy(in[0], in[1], in[2], targets); }},
           {"no bias", no_bias,
            [=](In in) { return linear_cross_entropy(in[0], in[1], {}, targets); }},
           {"smoothed", inputs(7),
            [=](In in) { return linear_cross_entropy(in[0], in[1], in[2], targets, -100, 0.2); }},
           {"another ignored index", inputs(5),
            [=](In in) {
              return linear_cross_entropy(
                  in[0], in[1], in[2],
                  Tensor::from<std::int64_t>({2, 3}, std::vector<std::int64_t>{0, 4, 3, 2, 2, 1}),
                  2);
            }},
           {"factor", inputs(5), [=](In in) {
              return affine(linear_cross_entropy(in[0], in[1], in[2], targets), 3.0, 0.0);
            }}};
     },
     [] {
       const Variable x(Tensor::zeros({2, 4}, DType::f32));
       const Variable weight(Tensor::zeros({3, 4}, DType::f32));
       const auto targets = [](std::int64_t a, std::int64_t b) {
         return Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{a, b});
       };
       return std::vector<OpError>{
           {"class", [=] { (void)linear_cross_entropy(x, weight, {}, targets(0, 3)); },
            "position 1"},
           {"all ignored", [=] { (void)linear_cross_entropy(x, weight, {}, targets(-100, -100)); },
            "every target"},
           {"width",
            [=] {
              (void)linear_cross_entropy(x, Variable(Tensor::zeros({3, 5}, DType::f32)), {},
                                         targets(0, 1));
            },
            "weight (classes, width)"},
           {"bias",
            [=] {
              (void)linear_cross_entropy(x, weight, Variable(Tensor::zeros({4}, DType::f32)),
                                         targets(0, 1));
            },
            "bias must be (3)"},
           {"smoothing",
            [=] { (void)linear_cross_entropy(x, weight, {}, targets(0, 1), -100, 1.0); },
            "label smoothing"}};
     }});

}  // namespace

}  // namespace basin

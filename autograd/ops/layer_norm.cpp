// y = x^ weight + bias with x^ = (x - mean) / sqrt(variance + eps) along the last dimension.
// With g = dy weight: dx = (g - mean(g) - x^ mean(g x^)) / sqrt(variance + eps); dweight and dbias
// are sums of dy x^ and dy over the rows.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/normalise.h"

namespace basin {

Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, double eps) {
  LayerNormResult result = layer_norm(x.value(), weight.value(), bias.value(), eps);
  return record("layer_norm", {x, weight, bias}, result.y,
                [x = Saved(x.value()), weight = Saved(weight.value()), mean = Saved(result.mean),
                 rstd = Saved(result.rstd)](const Tensor& dy, std::span<const bool> needed) {
                  const LayerNormGradients g =
                      layer_norm_backward(x.get(), weight.get(), mean.get(), rstd.get(), dy,
                                          needed[0], needed[1] || needed[2]);
                  return std::vector{g.dx, g.dweight, g.dbias};
                });
}

namespace {

const RegisterOp registered_layer_norm(
    {"layer_norm",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape) { return rng.normal(shape, 1.0, DType::f64); };
       const auto call = [](const std::vector<Variable>& in) {
         return layer_norm(in[0], in[1], in[2], 1e-5);
       };
       return std::vector<OpSample>{
           {"three dimensions", {draw({2, 3, 5}), draw({5}), draw({5})}, call},
           {"one row", {draw({6}), draw({6}), draw({6})}, call},
           {"transposed", {draw({5, 4}).transpose(0, 1), draw({5}), draw({5})}, call}};
     },
     [] {
       return std::vector<OpError>{
           {"weight",
            [] {
              const Variable narrow(Tensor::zeros({3}, DType::f32));
              (void)layer_norm(Variable(Tensor::zeros({2, 4}, DType::f32)), narrow, narrow, 1e-5);
            },
            "must be contiguous (4)"}};
     }});

}  // namespace

}  // namespace basin

// sum = x + residual and y = layer_norm(sum): two results of one node. What comes back for sum, and
// the slope of the normalisation given dy (see layer_norm.cpp), add up to the gradient by both
// addends.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/normalise.h"

namespace basin {

SumAndNorm add_layer_norm(const Variable& x, const Variable& residual, const Variable& weight,
                          const Variable& bias, double eps) {
  AddLayerNormResult result =
      add_layer_norm(x.value(), residual.value(), weight.value(), bias.value(), eps);
  const std::vector<Variable> both = record_several(
      "add_layer_norm", {x, residual, weight, bias}, {result.sum, result.y},
      [sum = Saved(result.sum), weight = Saved(weight.value()), mean = Saved(result.mean),
       rstd = Saved(result.rstd)](std::span<const Tensor> dys, std::span<const bool> needed) {
        if (!dys[1].defined()) {  // only the sum was used
          return std::vector{dys[0], dys[0], Tensor(), Tensor()};
        }
        const LayerNormGradients g =
            add_layer_norm_backward(sum.get(), weight.get(), mean.get(), rstd.get(), dys[0], dys[1],
                                    needed[0] || needed[1], needed[2] || needed[3]);
        return std::vector{g.dx, g.dx, g.dweight, g.dbias};
      });
  return {both[0], both[1]};
}

namespace {

using In = const std::vector<Variable>&;

SumAndNorm of(In in) { return add_layer_norm(in[0], in[1], in[2], in[3], 1e-5); }

const RegisterOp registered_add_layer_norm(
    {"add_layer_norm",
     [](Rng& rng) {
       const auto inputs = [&](const Shape& shape) {
         std::vector<Tensor> all;
         const Shape row = {shape[shape.rank() - 1]};
         for (const Shape& one : {shape, shape, row, row}) {
           all.push_back(rng.normal(one, 1.0, DType::f64));
         }
         return all;
       };
       std::vector<Tensor> turned = inputs({4, 4});
       turned[0] = turned[0].transpose(0, 1);
       turned[1] = turned[1].transpose(0, 1);
       const auto both = [](In in) {
         const SumAndNorm r = of(in);
         return concat({r.sum, r.normalised}, 0);
       };
       return std::vector<OpSample>{
           {"both", inputs({2, 3, 5}), both},
           {"transposed", turned, both},
           {"the sum alone", inputs({3, 6}), [](In in) { return of(in).sum; }},
           {"the norm alone", inputs({3, 6}), [](In in) { return of(in).normalised; }},
           {"the sum of products", inputs({3, 6}),
            [](In in) {
              const SumAndNorm r = of(in);
              return add(mul(r.sum, r.normalised), mul(r.normalised, r.normalised));
            }},
           {"one addend twice",
            {rng.normal({3, 4}, 1.0, DType::f64), rng.normal({4}, 1.0, DType::f64),
             rng.normal({4}, 1.0, DType::f64)},
            [both](In in) {
              return both({in[0], in[0], in[1], in[2]});
            }}};
     },
     [] {
       const auto zeros = [](const Shape& shape) {
         return Variable(Tensor::zeros(shape, DType::f32));
       };
       return std::vector<OpError>{
           {"shapes",
            [zeros] {
              (void)add_layer_norm(zeros({2, 4}), zeros({4}), zeros({4}), zeros({4}), 1e-5);
            },
            "must have one shape"},
           {"weight",
            [zeros] {
              (void)add_layer_norm(zeros({2, 4}), zeros({2, 4}), zeros({3}), zeros({3}), 1e-5);
            },
            "must be contiguous (4)"}};
     }});

}  // namespace

}  // namespace basin

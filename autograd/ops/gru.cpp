// a = W h + bias, r, z = sigmoid(x + a), n = tanh(x_n + r a_n), h = (1 - z) n + z h: see
// kernels/recurrent/gru.h for the gradient.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/recurrent.h"

namespace basin {

Variable gru(const Variable& x, const Variable& weight, const Variable& bias) {
  const GruResult result = gru(x.value(), weight.value(), bias.value());
  return record("gru", {x, weight, bias}, result.h,
                [h = Saved(result.h), saved = Saved(result.saved), weight = Saved(weight.value())](
                    const Tensor& dh, auto) {
                  const GruGradients g = gru_backward({h.get(), saved.get()}, weight.get(), dh);
                  return std::vector{g.dx, g.dweight, g.dbias};
                });
}

namespace {

const RegisterOp registered_gru(
    {"gru",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape, double deviation) {
         return rng.normal(shape, deviation, DType::f64);
       };
       const auto call = [](const std::vector<Variable>& in) { return gru(in[0], in[1], in[2]); };
       return std::vector<OpSample>{
           {"plain", {draw({2, 5, 9}, 1.0), draw({9, 3}, 0.7), draw({9}, 0.5)}, call},
           {"more items than a chunk",
            {draw({17, 2, 6}, 1.0), draw({6, 2}, 0.7), draw({6}, 0.5)},
            call},
           {"one step", {draw({2, 1, 3}, 1.0), draw({3, 1}, 0.7), draw({3}, 0.5)}, call}};
     },
     [] {
       const Variable x(Tensor::zeros({2, 3, 12}, DType::f32));
       return std::vector<OpError>{{"four gates",
                                    [x] {
                                      (void)gru(x, Variable(Tensor::zeros({12, 3}, DType::f32)), x);
                                    },
                                    "(12, 3) f32"},
                                   {"bias",
                                    [x] {
                                      (void)gru(x, Variable(Tensor::zeros({12, 4}, DType::f32)), x);
                                    },
                                    "bias must be (12)"}};
     }});

}  // namespace

}  // namespace basin

// i, f, o = sigmoid(x + W h), g = tanh(x + W h), c = f c + i g, h = o tanh(c): see
// kernels/recurrent/lstm.h for the gradient, which runs backwards in time with what later steps
// want from h and c.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/recurrent.h"

namespace basin {

Variable lstm(const Variable& x, const Variable& weight) {
  const LstmResult result = lstm(x.value(), weight.value());
  return record(
      "lstm", {x, weight}, result.h,
      [h = Saved(result.h), gates = Saved(result.gates), c = Saved(result.c),
       weight = Saved(weight.value())](const Tensor& dh, auto) {
        const RnnGradients g = lstm_backward({h.get(), gates.get(), c.get()}, weight.get(), dh);
        return std::vector{g.dx, g.dweight};
      });
}

namespace {

const RegisterOp registered_lstm(
    {"lstm",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape, double deviation) {
         return rng.normal(shape, deviation, DType::f64);
       };
       const auto call = [](const std::vector<Variable>& in) { return lstm(in[0], in[1]); };
       return std::vector<OpSample>{
           {"plain", {draw({2, 5, 12}, 1.0), draw({12, 3}, 0.7)}, call},
           {"more items than a chunk", {draw({17, 2, 8}, 1.0), draw({8, 2}, 0.7)}, call},
           {"one step", {draw({2, 1, 4}, 1.0), draw({4, 1}, 0.7)}, call}};
     },
     [] {
       return std::vector<OpError>{{"three gates",
                                    [] {
                                      (void)lstm(Variable(Tensor::zeros({2, 3, 12}, DType::f32)),
                                                 Variable(Tensor::zeros({12, 4}, DType::f32)));
                                    },
                                    "(12, 4) f32"}};
     }});

}  // namespace

}  // namespace basin

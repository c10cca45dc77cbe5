// h_t = f(x_t + W h_(t-1)), f tanh or relu. Backwards in time, dx_t = f'(h_t) (dh_t + W^T dx_(t+1))
// and dW = sum over t of dx_t h_(t-1)^T.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/recurrent.h"

namespace basin {

Variable rnn(const Variable& x, const Variable& weight, kernels::Nonlinearity nonlinearity) {
  const Tensor h = rnn(x.value(), weight.value(), nonlinearity);
  return record(
      "rnn", {x, weight}, h,
      [h = Saved(h), weight = Saved(weight.value()), nonlinearity](const Tensor& dh, auto) {
        const RnnGradients g = rnn_backward(h.get(), weight.get(), dh, nonlinearity);
        return std::vector{g.dx, g.dweight};
      });
}

namespace {

const RegisterOp registered_rnn(
    {"rnn",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape, double deviation) {
         return rng.normal(shape, deviation, DType::f64);
       };
       const auto call = [](kernels::Nonlinearity f) {
         return [f](const std::vector<Variable>& in) { return rnn(in[0], in[1], f); };
       };
       return std::vector<OpSample>{
           {"tanh", {draw({2, 5, 3}, 1.0), draw({3, 3}, 0.7)}, call(kernels::Nonlinearity::tanh)},
           {"more items than a chunk",
            {draw({17, 2, 2}, 1.0), draw({2, 2}, 0.7)},
            call(kernels::Nonlinearity::tanh)},
           {"relu", {draw({2, 4, 3}, 1.0), draw({3, 3}, 0.7)}, call(kernels::Nonlinearity::relu)},
           {"one step",
            {draw({2, 1, 3}, 1.0), draw({3, 3}, 0.7)},
            call(kernels::Nonlinearity::tanh)}};
     },
     [] {
       return std::vector<OpError>{{"weight",
                                    [] {
                                      (void)rnn(Variable(Tensor::zeros({2, 3, 4}, DType::f32)),
                                                Variable(Tensor::zeros({4, 5}, DType::f32)),
                                                kernels::Nonlinearity::tanh);
                                    },
                                    "(4, 5) f32"}};
     }});

}  // namespace

}  // namespace basin

// mean(softplus(z) - target z): -target ln p - (1 - target) ln(1 - p) for p = 1 / (1 + e^-z),
// without a logarithm of a number that rounds to 0. A composite: its gradient, (p - target) / n,
// comes from its parts.
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/error.h"

namespace basin {

Variable binary_cross_entropy(const Variable& logits, const Tensor& targets) {
  if (!(logits.shape() == targets.shape())) {
    fail("[binary_cross_entropy] logits and targets differ in shape: {} and {}",
         describe(logits.value()), describe(targets));
  }
  return mean(sub(softplus(logits), mul(logits, Variable(targets.to(logits.device())))));
}

namespace {

const RegisterOp registered_binary_cross_entropy(
    {"binary_cross_entropy",
     [](Rng& rng) {
       const Tensor targets = Tensor::from<double>({2, 2}, std::vector<double>{0, 1, 0.3, 1});
       return std::vector<OpSample>{{"hard and soft targets",
                                     {rng.normal({2, 2}, 2.0, DType::f64)},
                                     [=](const std::vector<Variable>& in) {
                                       return binary_cross_entropy(in[0],
                                                                   targets.to(in[0].dtype()));
                                     }}};
     },
     [] {
       return std::vector<OpError>{{"shapes",
                                    [] {
                                      (void)binary_cross_entropy(
                                          Variable(Tensor::zeros({2}, DType::f32)),
                                          Tensor::zeros({3}, DType::f32));
                                    },
                                    "(2) f32 and (3) f32"}};
     }});

}  // namespace

}  // namespace basin

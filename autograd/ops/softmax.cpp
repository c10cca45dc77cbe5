// y = softmax(x) along the last dimension; dx = y (dy - <y, dy>).
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/normalise.h"

namespace basin {

Variable softmax(const Variable& x) {
  const Tensor y = softmax(x.value());
  return record("softmax", {x}, y, [y = Saved(y)](const Tensor& dy, auto) {
    return std::vector{softmax_backward(y.get(), dy)};
  });
}

namespace {

const RegisterOp registered_softmax(
    {"softmax",
     [](Rng& rng) {
       const auto call = [](const std::vector<Variable>& in) { return softmax(in[0]); };
       return std::vector<OpSample>{{"rows", {rng.normal({2, 3, 5}, 1.0, DType::f64)}, call},
                                    {"one column", {rng.normal({4, 1}, 1.0, DType::f64)}, call},
                                    {"large scores", {rng.normal({3, 4}, 30.0, DType::f64)}, call}};
     },
     [] {
       return std::vector<OpError>{{"no dimension",
                                    [] { (void)softmax(Variable(Tensor::zeros({}, DType::f32))); },
                                    "at least one dimension"}};
     }});

}  // namespace

}  // namespace basin

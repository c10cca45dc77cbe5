// y = scale x + shift with constants; dx = scale dy.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/elementwise.h"

namespace basin {

Variable affine(const Variable& x, double scale, double shift) {
  return record("affine", {x}, affine(x.value(), scale, shift),
                [scale](const Tensor& dy, auto) { return std::vector{affine(dy, scale, 0.0)}; });
}

namespace {

const RegisterOp registered_affine(
    {"affine",
     [](Rng& rng) {
       return std::vector<OpSample>{
           {"plain", {rng.normal({3, 4}, 1.0, DType::f64)}, [](const std::vector<Variable>& in) {
              return affine(in[0], -1.5, 0.25);
            }}};
     },
     [] {
       return std::vector<OpError>{
           {"integers", [] { (void)affine(Variable(Tensor::zeros({2}, DType::i32)), 1, 0); },
            "needs f32 or f64"}};
     }});

}  // namespace

}  // namespace basin

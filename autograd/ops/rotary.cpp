// y: the pairs of row t of x turned by angles proportional to t; dx: dy turned back.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/association.h"

namespace basin {

Variable rotary(const Variable& x) {
  return record("rotary", {x}, rotary(x.value()),
                [](const Tensor& dy, auto) { return std::vector{rotary(dy, true)}; });
}

namespace {

const RegisterOp registered_rotary(
    {"rotary",
     [](Rng& rng) {
       const auto call = [](const std::vector<Variable>& in) { return rotary(in[0]); };
       return std::vector<OpSample>{
           {"plain", {rng.normal({2, 2, 9, 4}, 1.0, DType::f64)}, call},
           {"transposed layout",
            {rng.normal({1, 5, 2, 6}, 1.0, DType::f64)},
            [](const std::vector<Variable>& in) { return rotary(transpose(in[0], 1, 2)); }}};
     },
     [] {
       return std::vector<OpError>{
           {"odd width",
            [] {
              (void)rotary(Variable(Tensor::zeros({1, 1, 2, 3}, DType::f32)));
            },
            "must be even"},
           {"rank",
            [] {
              (void)rotary(Variable(Tensor::zeros({1, 2, 4}, DType::f32)));
            },
            "(B, H, L, D)"}};
     }});

}  // namespace

}  // namespace basin

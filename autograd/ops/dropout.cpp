// y = x mask / (1 - p); dx = dy mask / (1 - p) with the same mask, drawn again from (key, stream).
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/lookup.h"

namespace basin {

Variable dropout(const Variable& x, double p, std::uint64_t key, std::uint64_t stream) {
  return dropout(x, p, Draw{key, stream});
}

Variable dropout(const Variable& x, double p, const Draw& draw) {
  return record("dropout", {x}, dropout(x.value(), p, draw),
                [=](const Tensor& dy, auto) { return std::vector{dropout(dy, p, draw)}; });
}

namespace {

const RegisterOp registered_dropout(
    {"dropout",
     [](Rng& rng) {
       return std::vector<OpSample>{
           {"half",
            {rng.normal({4, 7}, 1.0, DType::f64)},
            [](const std::vector<Variable>& in) { return dropout(in[0], 0.5, 7, 3); }},
           {"none", {rng.normal({3}, 1.0, DType::f64)}, [](const std::vector<Variable>& in) {
              return dropout(in[0], 0.0, 7, 3);
            }}};
     },
     [] {
       const Variable x(Tensor::zeros({2}, DType::f32));
       return std::vector<OpError>{
           {"everything", [x] { (void)dropout(x, 1.0, 0, 0); }, "must be in [0, 1)"},
           {"negative", [x] { (void)dropout(x, -0.1, 0, 0); }, "must be in [0, 1)"}};
     }});

}  // namespace

}  // namespace basin

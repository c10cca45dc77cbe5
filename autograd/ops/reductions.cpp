// sum and mean. dx repeats dy along the summed dimension (over its extent n for the mean: dy / n).
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/reduce.h"

namespace basin {

Variable sum(const Variable& x, int dim, bool keep) {
  dim = normalise_dim(dim, x.shape().rank(), "sum");
  return record("sum", {x}, sum(x.value(), dim, keep),
                [dim, keep, shape = x.shape()](const Tensor& dy, auto) {
                  return std::vector{(keep ? dy : dy.unsqueeze(dim)).expand(shape)};
                });
}

Variable sum(const Variable& x) {
  return record("sum", {x}, sum(x.value()), [shape = x.shape()](const Tensor& dy, auto) {
    return std::vector{dy.expand(shape)};
  });
}

Variable mean(const Variable& x, int dim, bool keep) {
  return affine(sum(x, dim, keep), 1.0 / static_cast<double>(x.size(dim)), 0.0);
}

Variable mean(const Variable& x) {
  return affine(sum(x), 1.0 / static_cast<double>(x.value().numel()), 0.0);
}

namespace {

using In = const std::vector<Variable>&;

const RegisterOp registered_reductions(
    {"reductions",
     [](Rng& rng) {
       const auto draw = [&] { return rng.normal({2, 3, 4}, 1.0, DType::f64); };
       return std::vector<OpSample>{
           {"sum of all", {draw()}, [](In in) { return sum(in[0]); }},
           {"sum first", {draw()}, [](In in) { return sum(in[0], 0); }},
           {"sum middle, kept", {draw()}, [](In in) { return sum(in[0], 1, true); }},
           {"sum last of a transpose",
            {draw()},
            [](In in) { return sum(transpose(in[0], 0, 2), -1); }},
           {"mean of all", {draw()}, [](In in) { return mean(in[0]); }},
           {"mean last", {draw()}, [](In in) { return mean(in[0], -1); }}};
     },
     [] {
       return std::vector<OpError>{{"dimension",
                                    [] { (void)sum(Variable(Tensor::zeros({2}, DType::f32)), 1); },
                                    "no dimension 1"}};
     }});

}  // namespace

}  // namespace basin

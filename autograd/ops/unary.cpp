// y = op(x) element by element, for every line of kernels/elementwise/unary_table.inc.
// dx = dy op'(x), with op' from the same line.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/elementwise.h"

namespace basin {

Variable unary(kernels::UnaryOp op, const Variable& x) {
  Tensor y = unary(op, x.value());
  return record(kernels::info(op).name, {x}, y,
                [op, x = Saved(x.value()), y = Saved(y)](const Tensor& dy, auto) {
                  return std::vector{unary_backward(op, x.get(), y.get(), dy)};
                });
}

namespace {

const bool registered_unary = [] {
  for (int line = 0; line < static_cast<int>(kernels::UnaryOp::count); ++line) {
    const auto op = static_cast<kernels::UnaryOp>(line);
    const kernels::ElementwiseInfo info = kernels::info(op);
    const auto call = [op](const std::vector<Variable>& in) { return unary(op, in[0]); };
    RegisterOp({info.name,
                [=](Rng& rng) {
                  return std::vector<OpSample>{
                      {"contiguous", {rng.uniform({3, 5}, info.low, info.high, DType::f64)}, call},
                      {"transposed",
                       {rng.uniform({2, 3, 4}, info.low, info.high, DType::f64).transpose(0, 2)},
                       call},
                      {"scalar", {rng.uniform({}, info.low, info.high, DType::f64)}, call}};
                },
                [op] {
                  return std::vector<OpError>{
                      {"integers",
                       [op] { (void)unary(op, Variable(Tensor::zeros({2}, DType::i64))); },
                       "needs f32 or f64"}};
                }});
  }
  return true;
}();

}  // namespace

}  // namespace basin

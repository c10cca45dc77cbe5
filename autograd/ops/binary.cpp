// y = op(a, b) with broadcasting, for every line of kernels/elementwise/binary_table.inc.
// da = dy op_a(a, b) and db = dy op_b(a, b), each summed over the dimensions along which its
// operand was broadcast.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/functions/elementwise.h"

namespace basin {

Variable binary(kernels::BinaryOp op, const Variable& a, const Variable& b) {
  return record(kernels::info(op).name, {a, b}, binary(op, a.value(), b.value()),
                [op, a = Saved(a.value()), b = Saved(b.value())](const Tensor& dy,
                                                                 std::span<const bool> needed) {
                  BinaryGradients g =
                      binary_backward(op, a.get(), b.get(), dy, needed[0], needed[1]);
                  return std::vector{g.da, g.db};
                });
}

namespace {

const bool registered_binary = [] {
  for (int line = 0; line < static_cast<int>(kernels::BinaryOp::count); ++line) {
    const auto op = static_cast<kernels::BinaryOp>(line);
    const kernels::ElementwiseInfo info = kernels::info(op);
    const auto call = [op](const std::vector<Variable>& in) { return binary(op, in[0], in[1]); };
    RegisterOp({info.name,
                [=](Rng& rng) {
                  const auto draw = [&](const Shape& shape) {
                    return rng.uniform(shape, info.low, info.high, DType::f64);
                  };
                  return std::vector<OpSample>{
                      {"same shape", {draw({3, 4}), draw({3, 4})}, call},
                      {"row", {draw({2, 3, 4}), draw({4})}, call},
                      {"column", {draw({3, 1}), draw({3, 4})}, call},
                      {"both", {draw({2, 1, 4}), draw({3, 1})}, call},
                      {"scalar", {draw({3, 4}), draw({})}, call},
                      {"transposed", {draw({4, 3}).transpose(0, 1), draw({3, 4})}, call},
                      {"with itself", {draw({3, 4})}, [op](const std::vector<Variable>& in) {
                         return binary(op, in[0], in[0]);
                       }}};
                },
                [op] {
                  return std::vector<OpError>{
                      {"shapes",
                       [op] {
                         (void)binary(op, Variable(Tensor::zeros({2, 3}, DType::f32)),
                                      Variable(Tensor::zeros({2, 4}, DType::f32)));
                       },
                       "(2, 3) and (2, 4)"},
                      {"dtypes",
                       [op] {
                         (void)binary(op, Variable(Tensor::zeros({2}, DType::f32)),
                                      Variable(Tensor::zeros({2}, DType::f64)));
                       },
                       "differ in dtype"}};
                }});
  }
  return true;
}();

}  // namespace

}  // namespace basin

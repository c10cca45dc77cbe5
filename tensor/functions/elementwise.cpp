#include "tensor/functions/elementwise.h"

#include <algorithm>

#include "tensor/check.h"
#include "tensor/functions/reduce.h"

namespace basin {

namespace {

// The operands of a binary kernel seen under their common shape.
template <class Params>
void set_operands(Params& p, const Tensor& a, const Tensor& b, const Shape& shape) {
  const Tensor wide_a = a.expand(shape);
  const Tensor wide_b = b.expand(shape);
  p.a = a.raw();
  p.b = b.raw();
  p.rank = shape.rank();
  std::copy(shape.begin(), shape.end(), p.extents);
  std::copy(wide_a.strides().begin(), wide_a.strides().end(), p.a_strides);
  std::copy(wide_b.strides().begin(), wide_b.strides().end(), p.b_strides);
  p.dtype = a.dtype();
}

}  // namespace

Tensor unary(kernels::UnaryOp op, const Tensor& x) {
  const char* name = kernels::info(op).name;
  check_same_floating(name, x);
  const Tensor source = x.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const kernels::UnaryForward p{op, source.raw(), y.mutable_raw(), y.numel(), y.dtype()};
  check(on_device(x.device(), [&](const auto& at) { return kernels::unary_forward(p, at); }), name,
        x);
  return y;
}

Tensor unary_backward(kernels::UnaryOp op, const Tensor& x, const Tensor& y, const Tensor& dy) {
  const char* name = kernels::info(op).name;
  check_same_floating(name, x, y, dy);
  const Tensor source = x.contiguous();
  const Tensor gradient = dy.contiguous();
  Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  const kernels::UnaryBackward p{
      op, source.raw(), y.raw(), gradient.raw(), dx.mutable_raw(), dx.numel(), dx.dtype()};
  check(on_device(x.device(), [&](const auto& at) { return kernels::unary_backward(p, at); }), name,
        x, dy);
  return dx;
}

Tensor binary(kernels::BinaryOp op, const Tensor& a, const Tensor& b) {
  const char* name = kernels::info(op).name;
  check_same_floating(name, a, b);
  const Shape shape = broadcast(a.shape(), b.shape(), name);
  Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  if (y.numel() == 0) {
    return y;
  }
  kernels::BinaryForward p{};
  p.op = op;
  set_operands(p, a, b, shape);
  p.y = y.mutable_raw();
  check(on_device(a.device(), [&](const auto& at) { return kernels::binary_forward(p, at); }), name,
        a, b);
  return y;
}

BinaryGradients binary_backward(kernels::BinaryOp op, const Tensor& a, const Tensor& b,
                                const Tensor& dy, bool need_a, bool need_b) {
  const char* name = kernels::info(op).name;
  check_same_floating(name, a, b, dy);
  const Tensor gradient = dy.contiguous();
  BinaryGradients result;
  if (op == kernels::BinaryOp::add) {  // both derivatives are 1: dy itself
    result.da = need_a ? sum_to(gradient, a.shape()) : Tensor();
    result.db = need_b ? sum_to(gradient, b.shape()) : Tensor();
    return result;
  }
  kernels::BinaryBackward p{};
  p.op = op;
  set_operands(p, a, b, dy.shape());
  p.dy = gradient.raw();
  if (need_a) {
    result.da = Tensor::empty(dy.shape(), dy.dtype(), dy.device());
    p.da = result.da.mutable_raw();
  }
  if (need_b) {
    result.db = Tensor::empty(dy.shape(), dy.dtype(), dy.device());
    p.db = result.db.mutable_raw();
  }
  if (dy.numel() > 0) {
    check(on_device(dy.device(), [&](const auto& at) { return kernels::binary_backward(p, at); }),
          name, a, b, dy);
  }
  if (need_a) {
    result.da = sum_to(result.da, a.shape());
  }
  if (need_b) {
    result.db = sum_to(result.db, b.shape());
  }
  return result;
}

Tensor affine(const Tensor& x, double scale, double shift) {
  check_same_floating("affine", x);
  const Tensor source = x.contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const kernels::Affine p{source.raw(), y.mutable_raw(), y.numel(), scale, shift, y.dtype()};
  check(on_device(x.device(), [&](const auto& at) { return kernels::affine(p, at); }), "affine", x);
  return y;
}

void accumulate(Tensor& to, const Tensor& from) {
  check_same_floating("accumulate", to, from);
  if (!(to.shape() == from.shape()) || !to.is_contiguous()) {
    fail("[accumulate] {} cannot be added into {}", describe(from), describe(to));
  }
  if (to.numel() == 0) {
    return;
  }
  kernels::BinaryForward p{};
  p.op = kernels::BinaryOp::add;
  set_operands(p, to, from, to.shape());
  p.y = to.mutable_raw();
  check(on_device(to.device(), [&](const auto& at) { return kernels::binary_forward(p, at); }),
        "accumulate", to, from);
}

}  // namespace basin

// Elementwise tensor functions. Each line of the kernel tables becomes a function here: exp(x),
// gelu(x), add(a, b), ...
#pragma once

#include "kernels/elementwise/elementwise.h"
#include "tensor/tensor.h"

namespace basin {

/// op(x), element by element; x f32 or f64, any strides; the result is contiguous.
Tensor unary(kernels::UnaryOp op, const Tensor& x);
/// dy op'(x) with y = op(x).
Tensor unary_backward(kernels::UnaryOp op, const Tensor& x, const Tensor& y, const Tensor& dy);

/// op(a, b) with broadcasting; one dtype, f32 or f64.
Tensor binary(kernels::BinaryOp op, const Tensor& a, const Tensor& b);

/// The gradients by a and b, each summed to the shape of its operand; undefined where not needed.
struct BinaryGradients {
  Tensor da, db;
};
BinaryGradients binary_backward(kernels::BinaryOp op, const Tensor& a, const Tensor& b,
                                const Tensor& dy, bool need_a, bool need_b);

#define BASIN_UNARY(name, formula, low, high, value, derivative) \
  inline Tensor name(const Tensor& x) { return unary(kernels::UnaryOp::name, x); }
#include "kernels/elementwise/unary_table.inc"
#undef BASIN_UNARY

#define BASIN_BINARY(name, formula, low, high, value, da, db) \
  inline Tensor name(const Tensor& a, const Tensor& b) {      \
    return binary(kernels::BinaryOp::name, a, b);             \
  }
#include "kernels/elementwise/binary_table.inc"
#undef BASIN_BINARY

/// scale x + shift.
Tensor affine(const Tensor& x, double scale, double shift);

/// to += from, in place; same shape and dtype, `to` contiguous.
void accumulate(Tensor& to, const Tensor& from);

}  // namespace basin

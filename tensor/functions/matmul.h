// Matrix products. With a precision of fewer bits, which is for f32, the factors are rounded before
// they meet: see kernels::Gemm.
#pragma once

#include "kernels/common/precision.h"
#include "tensor/tensor.h"

namespace basin {

/// a (..., m, k) times b (k, n) or b (..., k, n) with the same leading dimensions: (..., m, n). f32
/// or f64. Transposed views are multiplied in place, without a copy.
Tensor matmul(const Tensor& a, const Tensor& b, Precision precision = Precision::f32);

/// x (..., in) weight^T + bias with weight (out, in) and bias (out) or undefined: (..., out).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias,
              Precision precision = Precision::f32);

/// x with the dimensions before the last `kept` folded into one; unlike reshape({-1, ...}) also
/// where the kept ones have no elements.
Tensor fold_leading(const Tensor& x, int kept);

}  // namespace basin

// The up-projection of an MLP with its activation.
#pragma once

#include "kernels/common/precision.h"
#include "tensor/tensor.h"

namespace basin {

/// z = linear(x, weight, bias, precision), y = gelu(z): see kernels::LinearGeluForward. z is
/// undefined unless kept for a backward pass.
struct LinearGeluResult {
  Tensor y, z;
};
LinearGeluResult linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias, bool keep_z,
                             Precision precision = Precision::f32);

/// dz = dy gelu'(z), of the shape of z, and its sum over all but the last dimension; dbias is left
/// undefined unless needed.
struct LinearGeluGradients {
  Tensor dz, dbias;
};
LinearGeluGradients linear_gelu_backward(const Tensor& z, const Tensor& dy, bool need_bias);

}  // namespace basin

// The up-projection of an MLP with its activation: y = gelu(x W^T + bias).
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/precision.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// z = x weight^T + bias and y = z Phi(z), for x (rows, in), weight (out, in), bias (out) or null,
/// z and y (rows, out), all contiguous. z is what the backward pass needs; where nobody does, z may
/// be y. f32 or f64.
/// Variants: 0 best; 1 the product, then a pass over it (variant 0); 2 the activation of a block of
/// the product while that is in the second-level cache. On a GPU there is 0 alone, which is as 1.
struct LinearGeluForward {
  const void* x;
  const void* weight;
  const void* bias;
  void* z;
  void* y;
  std::int64_t rows, in, out;
  void* workspace = nullptr;  ///< linear_gelu_workspace() bytes, 64-byte aligned
  DType dtype = DType::f32;
  int variant = 0;
  Precision precision = Precision::f32;  ///< of x and weight in the product: see Gemm
};
std::int64_t linear_gelu_workspace(const LinearGeluForward&, const CpuContext&);
std::int64_t linear_gelu_workspace(const LinearGeluForward&, const SimtContext&);
std::int64_t linear_gelu_workspace(const LinearGeluForward&, const CudaContext&);
Status linear_gelu_forward(const LinearGeluForward&, const CpuContext&);
Status linear_gelu_forward(const LinearGeluForward&, const SimtContext&);
Status linear_gelu_forward(const LinearGeluForward&, const CudaContext&);

/// dz = dy (Phi(z) + z Phi'(z)) and dbias = the sum of dz over the rows, in one pass. The products
/// that follow from dz (dx = dz weight, dweight = dz^T x) are the caller's. dbias may be null;
/// otherwise `workspace` has room for linear_gelu_backward_workspace(rows, out) doubles. dz may be
/// dy. Sums of up to 64 rows are kept in the dtype, in the order of the rows, sums of those in
/// double.
struct LinearGeluBackward {
  const void* z;
  const void* dy;
  void* dz;
  void* dbias;
  double* workspace;
  std::int64_t rows, out;
  DType dtype;
};
std::int64_t linear_gelu_backward_workspace(std::int64_t rows, std::int64_t out);
Status linear_gelu_backward(const LinearGeluBackward&, const CpuContext&);
Status linear_gelu_backward(const LinearGeluBackward&, const SimtContext&);
Status linear_gelu_backward(const LinearGeluBackward&, const CudaContext&);

}  // namespace basin::kernels

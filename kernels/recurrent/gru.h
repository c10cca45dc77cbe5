// The gated recurrent unit (K. Cho et al. 2014), in the form whose reset gate acts on the recurrent
// product.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// With x_t = W_ih u_t + b_ih made by the caller and a = W h_(t-1) + bias, both (3 width) in the
/// order r, z, n: r, z = sigmoid(x + a), n = tanh(x_n + r a_n), h_t = (1 - z) n + z h_(t-1), h_0 =
/// 0. x (B, L, 3 width), weight (3 width, width), bias (3 width), h (B, L, width); saved (B, L, 4
/// width) receives r, z, n and a_n for the backward pass. All contiguous. f32 or f64. Variants as
/// those of the Elman network (rnn.h).
struct GruForward {
  const void* x;
  const void* weight;
  const void* bias;
  void* saved;
  void* h;
  void* workspace;  ///< gru_forward_workspace() bytes, 64-byte aligned
  std::int64_t B, L, width;
  DType dtype;
  int variant = 0;
};
std::int64_t gru_forward_workspace(const GruForward&);
inline std::int64_t gru_forward_workspace(const GruForward& p, const CpuContext&) {
  return gru_forward_workspace(p);
}
std::int64_t gru_forward_workspace(const GruForward&, const SimtContext&);
std::int64_t gru_forward_workspace(const GruForward&, const CudaContext&);
Status gru_forward(const GruForward&, const CpuContext&);
Status gru_forward(const GruForward&, const SimtContext&);
Status gru_forward(const GruForward&, const CudaContext&);

/// dx (B, L, 3 width), the gradient by x, and da (B, L, 3 width), that by a, which differ in their
/// n part by the factor r. The caller gets dweight = sum over b, t of da_t h_(t-1)^T and dbias =
/// sum of da.
struct GruBackward {
  const void* weight;
  const void* saved;
  const void* h;
  const void* dh;
  void* dx;
  void* da;
  void* workspace;  ///< gru_backward_workspace() bytes, 64-byte aligned
  std::int64_t B, L, width;
  DType dtype;
  int variant = 0;
};
std::int64_t gru_backward_workspace(const GruBackward&);
inline std::int64_t gru_backward_workspace(const GruBackward& p, const CpuContext&) {
  return gru_backward_workspace(p);
}
std::int64_t gru_backward_workspace(const GruBackward&, const SimtContext&);
std::int64_t gru_backward_workspace(const GruBackward&, const CudaContext&);
Status gru_backward(const GruBackward&, const CpuContext&);
Status gru_backward(const GruBackward&, const SimtContext&);
Status gru_backward(const GruBackward&, const CudaContext&);

}  // namespace basin::kernels

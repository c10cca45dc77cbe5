// The Elman recurrence h_t = f(x_t + W h_(t-1)) with f = tanh or relu (J. Elman 1990). The input
// part x_t = W_ih u_t + b_ih + b_hh is one matrix product over all times and is made by the caller.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

enum class Nonlinearity : std::uint8_t { tanh, relu };

/// h (B, L, width) from x (B, L, width) and weight (width, width), h_0 = 0; all contiguous. h may
/// be x. f32 or f64.
/// Variants: 0 best, 1 an OpenBLAS product per step, which 16 batch items share, 2 weights packed
/// once for all steps and f applied to what is still in registers (variant 0, unless the machine
/// has none of AVX2 and AVX-512). In variant 2 an item has the same bits whatever B is; so it has
/// on a GPU, where there is variant 0 only: a block for one or a few items.
struct RnnForward {
  const void* x;
  const void* weight;
  void* h;
  void* workspace;  ///< rnn_forward_workspace() bytes, 64-byte aligned
  std::int64_t B, L, width;
  Nonlinearity nonlinearity;
  DType dtype;
  int variant = 0;
};
std::int64_t rnn_forward_workspace(const RnnForward&);
inline std::int64_t rnn_forward_workspace(const RnnForward& p, const CpuContext&) {
  return rnn_forward_workspace(p);
}
std::int64_t rnn_forward_workspace(const RnnForward&, const SimtContext&);
std::int64_t rnn_forward_workspace(const RnnForward&, const CudaContext&);
Status rnn_forward(const RnnForward&, const CpuContext&);
Status rnn_forward(const RnnForward&, const SimtContext&);
Status rnn_forward(const RnnForward&, const CudaContext&);

/// dx_t = f'(h_t) (dh_t + W^T dx_(t+1)), the gradient by x; the caller gets that of W as the
/// product sum over b, t of dx_t h_(t-1)^T. Variants as forward.
struct RnnBackward {
  const void* h;
  const void* weight;
  const void* dh;
  void* dx;
  void* workspace;  ///< rnn_backward_workspace() bytes, 64-byte aligned
  std::int64_t B, L, width;
  Nonlinearity nonlinearity;
  DType dtype;
  int variant = 0;
};
std::int64_t rnn_backward_workspace(const RnnBackward&);
inline std::int64_t rnn_backward_workspace(const RnnBackward& p, const CpuContext&) {
  return rnn_backward_workspace(p);
}
std::int64_t rnn_backward_workspace(const RnnBackward&, const SimtContext&);
std::int64_t rnn_backward_workspace(const RnnBackward&, const CudaContext&);
Status rnn_backward(const RnnBackward&, const CpuContext&);
Status rnn_backward(const RnnBackward&, const SimtContext&);
Status rnn_backward(const RnnBackward&, const CudaContext&);

}  // namespace basin::kernels

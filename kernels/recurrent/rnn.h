// The Elman recurrence h_t = f(x_t + W h_(t-1)) with f = tanh or relu (J. Elman 1990). The input
// part x_t = W_ih u_t + b_ih + b_hh is one matrix product over all times and is made by the caller.
#pragma once

#include <cstdint>

#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/common/thread_pool.h"

namespace basin::kernels {

enum class Nonlinearity : std::uint8_t { tanh, relu };

/// h (B, L, width) from x (B, L, width) and weight (width, width), h_0 = 0; all contiguous. h may
/// be x.
struct RnnForward {
  const void* x;
  const void* weight;
  void* h;
  std::int64_t B, L, width;
  Nonlinearity nonlinearity;
  DType dtype;
};
Status rnn_forward(const RnnForward&, const CpuContext&);

/// dx_t = f'(h_t) (dh_t + W^T dx_(t+1)), the gradient by x; the caller gets that of W as the
/// product sum over b, t of dx_t h_(t-1)^T. `workspace` has room for B * width elements.
struct RnnBackward {
  const void* h;
  const void* weight;
  const void* dh;
  void* dx;
  void* workspace;
  std::int64_t B, L, width;
  Nonlinearity nonlinearity;
  DType dtype;
};
Status rnn_backward(const RnnBackward&, const CpuContext&);

}  // namespace basin::kernels

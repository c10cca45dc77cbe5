// The long short-term memory recurrence (S. Hochreiter, J. Schmidhuber 1997; forget gate by F. Gers
// et al. 2000). As for the Elman network, the input part of all gates is one matrix product made by
// the caller.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// With a_t = x_t + W h_(t-1), (4 width) in the order i, f, g, o: i, f, o = sigmoid(a), g =
/// tanh(a), c_t = f c_(t-1) + i g, h_t = o tanh(c_t), h_0 = c_0 = 0. x (B, L, 4 width), weight (4
/// width, width), h and c (B, L, width); gates (B, L, 4 width) receives i, f, g, o for the backward
/// pass and may be x. All contiguous. f32 or f64. Variants as those of the Elman network (rnn.h).
struct LstmForward {
  const void* x;
  const void* weight;
  void* gates;
  void* c;
  void* h;
  void* workspace;  ///< lstm_forward_workspace() bytes, 64-byte aligned
  std::int64_t B, L, width;
  DType dtype;
  int variant = 0;
};
std::int64_t lstm_forward_workspace(const LstmForward&);
inline std::int64_t lstm_forward_workspace(const LstmForward& p, const CpuContext&) {
  return lstm_forward_workspace(p);
}
std::int64_t lstm_forward_workspace(const LstmForward&, const SimtContext&);
std::int64_t lstm_forward_workspace(const LstmForward&, const CudaContext&);
Status lstm_forward(const LstmForward&, const CpuContext&);
Status lstm_forward(const LstmForward&, const SimtContext&);
Status lstm_forward(const LstmForward&, const CudaContext&);

/// dx (B, L, 4 width), the gradient by x; that of W is the product sum over b, t of dx_t h_(t-1)^T.
struct LstmBackward {
  const void* weight;
  const void* gates;
  const void* c;
  const void* dh;
  void* dx;
  void* workspace;  ///< lstm_backward_workspace() bytes, 64-byte aligned
  std::int64_t B, L, width;
  DType dtype;
  int variant = 0;
};
std::int64_t lstm_backward_workspace(const LstmBackward&);
inline std::int64_t lstm_backward_workspace(const LstmBackward& p, const CpuContext&) {
  return lstm_backward_workspace(p);
}
std::int64_t lstm_backward_workspace(const LstmBackward&, const SimtContext&);
std::int64_t lstm_backward_workspace(const LstmBackward&, const CudaContext&);
Status lstm_backward(const LstmBackward&, const CpuContext&);
Status lstm_backward(const LstmBackward&, const SimtContext&);
Status lstm_backward(const LstmBackward&, const CudaContext&);

}  // namespace basin::kernels

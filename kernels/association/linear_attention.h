// Linear attention with phi(x) = elu(x) + 1 (A. Katharopoulos et al. 2020).
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// out_i = phi(q_i).S_i / (phi(q_i).z_i + eps) with S_i = sum over visible j of phi(k_j) v_j^T and
/// z_i = sum over visible j of phi(k_j). Shapes, visibility and hidden rows as in AttentionForward;
/// a query that sees nothing gives 0. normaliser (B,H,L) contiguous receives phi(q_i).z_i + eps.
/// Time and memory grow linearly with L and M.
/// Variants: 0 best, 1 query by query, 2 chunks of 64 queries as matrix products in vector
/// instructions (chunked_linear_attention.h). On a GPU (widths up to 256): 0, a scan over segments
/// of chunks. There `dtype` may also be bf16, for q, k, v and out; the normaliser is f32 then.
struct LinearAttentionForward {
  HeadView q, k, v, out;
  const std::int64_t* key_lengths;
  void* normaliser;
  void* workspace;  ///< linear_attention_forward_workspace() bytes
  std::int64_t B, H, L, M, D, Dv;
  bool causal;
  double eps;
  DType dtype;
  int variant = 0;
};
std::int64_t linear_attention_forward_workspace(const LinearAttentionForward&, const CpuContext&);
std::int64_t linear_attention_forward_workspace(const LinearAttentionForward&, const SimtContext&);
std::int64_t linear_attention_forward_workspace(const LinearAttentionForward&, const CudaContext&);
Status linear_attention_forward(const LinearAttentionForward&, const CpuContext&);
Status linear_attention_forward(const LinearAttentionForward&, const SimtContext&);
Status linear_attention_forward(const LinearAttentionForward&, const CudaContext&);

/// With n_i the normaliser, g_i = dout_i / n_i and c_i = -dout_i.out_i / n_i:
/// dphi(q_i) = S_i g_i + c_i z_i; dphi(k_j) = R_j v_j + r_j and dv_j = R_j^T phi(k_j), where
/// R_j = sum of phi(q_i) g_i^T and r_j = sum of c_i phi(q_i) over the queries i that see j.
/// S is swept forward and R backward. dq, dk, dv are overwritten. bf16 as in the forward pass, for
/// dout, dq, dk and dv, too.
struct LinearAttentionBackward {
  HeadView q, k, v, out, dout, dq, dk, dv;
  const std::int64_t* key_lengths;
  const void* normaliser;
  void* workspace;  ///< linear_attention_backward_workspace() bytes
  std::int64_t B, H, L, M, D, Dv;
  bool causal;
  double eps;
  DType dtype;
  int variant = 0;
};
std::int64_t linear_attention_backward_workspace(const LinearAttentionBackward&, const CpuContext&);
std::int64_t linear_attention_backward_workspace(const LinearAttentionBackward&,
                                                 const SimtContext&);
std::int64_t linear_attention_backward_workspace(const LinearAttentionBackward&,
                                                 const CudaContext&);
Status linear_attention_backward(const LinearAttentionBackward&, const CpuContext&);
Status linear_attention_backward(const LinearAttentionBackward&, const SimtContext&);
Status linear_attention_backward(const LinearAttentionBackward&, const CudaContext&);

}  // namespace basin::kernels

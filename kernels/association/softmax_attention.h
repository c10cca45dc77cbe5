// Softmax attention, which is one retrieval step of the dense modern Hopfield network
// (A. Vaswani et al. 2017; H. Ramsauer et al. 2020).
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/precision.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// out_i = sum over visible j of P_ij v_j, P_i = softmax_j(beta_h q_i.k_j).
/// q (B,H,L,D), k (B,H,M,D), v (B,H,M,Dv), out (B,H,L,Dv). beta (H) of `dtype`. key_lengths (B) or
/// null. lse (B,H,L) contiguous receives ln sum_j exp(beta q_i.k_j), -inf for a query that sees
/// nothing (its out is 0). Hidden rows of k and v are never read, so they may hold NaN.
/// Variants: 0 best, 1 one query at a time, 2 tiles of 32 queries with products by OpenBLAS (scores
/// of a tile stored), 3 blocks of keys with a running maximum, in vector instructions
/// (flash_attention.h). key_lengths lies where the other arrays do.
/// Variants on a GPU: 0 best, 1 a thread for a query, 2 tiles of keys with a running maximum, for
/// widths up to 256, 3 (f32 only) the same on tensor cores (tensor_attention.h), each product as
/// three of tf32, which keep the bits of f32. There `dtype` may also be bf16, for q, k, v and out;
/// beta and lse are f32 then, and products run on tensor cores: 0 best, 1 a tile of keys is
/// fetched, then used, 2 the next tile is fetched meanwhile.
/// `precision` tf32, for arrays of f32 on a GPU: what is multiplied is rounded to tf32, and only
/// then, on tensor cores; there is one variant, 0.
struct AttentionForward {
  HeadView q, k, v, out;
  const void* beta;
  const std::int64_t* key_lengths;
  void* lse;
  void* workspace;  ///< attention_forward_workspace() bytes
  std::int64_t B, H, L, M, D, Dv;
  bool causal;
  DType dtype;
  int variant = 0;
  Precision precision = Precision::f32;
};
std::int64_t attention_forward_workspace(const AttentionForward&, const CpuContext&);
std::int64_t attention_forward_workspace(const AttentionForward&, const SimtContext&);
std::int64_t attention_forward_workspace(const AttentionForward&, const CudaContext&);
Status attention_forward(const AttentionForward&, const CpuContext&);
Status attention_forward(const AttentionForward&, const SimtContext&);
Status attention_forward(const AttentionForward&, const CudaContext&);

/// With dP_ij = dout_i.v_j, delta_i = dout_i.out_i and dS = P (dP - delta):
/// dq_i = beta sum_j dS_ij k_j, dk_j = beta sum_i dS_ij q_i, dv_j = sum_i P_ij dout_i and
/// dbeta_h = sum over b, i of q_i . sum_j dS_ij k_j. P is computed again from lse. dq, dk, dv are
/// overwritten (0 for hidden keys); dbeta (H) of `dtype`, or null. Variants on a GPU: 0 best, and 2
/// and 3 as in the forward pass, bf16 and `precision` too; dbeta is f32 where beta is.
struct AttentionBackward {
  HeadView q, k, v, out, dout, dq, dk, dv;
  const void* beta;
  void* dbeta;
  const std::int64_t* key_lengths;
  const void* lse;
  void* workspace;  ///< attention_backward_workspace() bytes
  std::int64_t B, H, L, M, D, Dv;
  bool causal;
  DType dtype;
  int variant = 0;
  Precision precision = Precision::f32;
};
std::int64_t attention_backward_workspace(const AttentionBackward&, const CpuContext&);
std::int64_t attention_backward_workspace(const AttentionBackward&, const SimtContext&);
std::int64_t attention_backward_workspace(const AttentionBackward&, const CudaContext&);
Status attention_backward(const AttentionBackward&, const CpuContext&);
Status attention_backward(const AttentionBackward&, const SimtContext&);
Status attention_backward(const AttentionBackward&, const CudaContext&);

}  // namespace basin::kernels

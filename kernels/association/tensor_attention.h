// Attention on tensor cores.
#pragma once

#include "kernels/association/softmax_attention.h"

namespace basin::kernels {

/// Whether attention_forward and attention_backward call the functions below. P is their argument.
template <class P>
bool is_on_tensor_cores(const P& p) {
  return p.dtype == DType::bf16 ||
         (p.dtype == DType::f32 && (p.precision == Precision::tf32 || p.variant == 3));
}

/// attention_forward on tensor cores; p is checked and not empty, and sums are f32. q, k, v and out
/// in bf16, with beta and lse in f32: weights are rounded to bf16 before they meet the values. All
/// in f32, in tf32: q, k, v and weights are rounded as they are multiplied. All in f32, in f32:
/// each of them is taken in two parts of tf32 (tensor_tf32.cuh). Where queries are few, blocks have
/// parts of the keys, whose sums are f32.
std::int64_t tensor_attention_forward_workspace(const AttentionForward& p,
                                                const SimtContext& context);
std::int64_t tensor_attention_forward_workspace(const AttentionForward& p,
                                                const CudaContext& context);
Status tensor_attention_forward(const AttentionForward& p, const SimtContext& context);
Status tensor_attention_forward(const AttentionForward& p, const CudaContext& context);

/// attention_backward likewise. In bf16 dout, dq, dk and dv are bf16, too, and beta, lse and dbeta
/// f32. Slopes are rounded as weights are.
std::int64_t tensor_attention_backward_workspace(const AttentionBackward& p,
                                                 const SimtContext& context);
std::int64_t tensor_attention_backward_workspace(const AttentionBackward& p,
                                                 const CudaContext& context);
Status tensor_attention_backward(const AttentionBackward& p, const SimtContext& context);
Status tensor_attention_backward(const AttentionBackward& p, const CudaContext& context);

/// Their parts for f32.
std::int64_t tf32_attention_forward_workspace(const AttentionForward& p,
                                              const SimtContext& context);
std::int64_t tf32_attention_forward_workspace(const AttentionForward& p,
                                              const CudaContext& context);
Status tf32_attention_forward(const AttentionForward& p, const SimtContext& context);
Status tf32_attention_forward(const AttentionForward& p, const CudaContext& context);
std::int64_t tf32_attention_backward_workspace(const AttentionBackward& p,
                                               const SimtContext& context);
std::int64_t tf32_attention_backward_workspace(const AttentionBackward& p,
                                               const CudaContext& context);
Status tf32_attention_backward(const AttentionBackward& p, const SimtContext& context);
Status tf32_attention_backward(const AttentionBackward& p, const CudaContext& context);

}  // namespace basin::kernels

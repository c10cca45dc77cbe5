// Attention on tensor cores.
#pragma once

#include "kernels/association/softmax_attention.h"

namespace basin::kernels {

/// attention_forward for q, k, v and out in bf16, with beta and lse in f32. Sums are f32; weights
/// are rounded to bf16 before they meet the values. Where queries are few, blocks have parts of the
/// keys, whose sums are f32. p is checked and not empty.
std::int64_t tensor_attention_forward_workspace(const AttentionForward& p,
                                                const SimtContext& context);
std::int64_t tensor_attention_forward_workspace(const AttentionForward& p,
                                                const CudaContext& context);
Status tensor_attention_forward(const AttentionForward& p, const SimtContext& context);
Status tensor_attention_forward(const AttentionForward& p, const CudaContext& context);

/// attention_backward likewise; q, k, v, out, dout, dq, dk and dv are bf16, and weights and slopes
/// are rounded to bf16 before they meet what they are multiplied with; beta, lse and dbeta are f32.
std::int64_t tensor_attention_backward_workspace(const AttentionBackward& p,
                                                 const SimtContext& context);
std::int64_t tensor_attention_backward_workspace(const AttentionBackward& p,
                                                 const CudaContext& context);
Status tensor_attention_backward(const AttentionBackward& p, const SimtContext& context);
Status tensor_attention_backward(const AttentionBackward& p, const CudaContext& context);

}  // namespace basin::kernels

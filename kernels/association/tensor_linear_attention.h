// Linear attention on tensor cores.
#pragma once

#include "kernels/association/linear_attention.h"

namespace basin::kernels {

/// linear_attention_forward for q, k, v and out in bf16, with the normaliser in f32. Sums and
/// states are f32; phi(q), phi(k), weights and states are rounded to bf16 where they are
/// multiplied. p is checked.
std::int64_t tensor_linear_attention_forward_workspace(const LinearAttentionForward& p,
                                                       const SimtContext& context);
std::int64_t tensor_linear_attention_forward_workspace(const LinearAttentionForward& p,
                                                       const CudaContext& context);
Status tensor_linear_attention_forward(const LinearAttentionForward& p, const SimtContext& context);
Status tensor_linear_attention_forward(const LinearAttentionForward& p, const CudaContext& context);

/// linear_attention_backward likewise; dout, dq, dk and dv are bf16, too.
std::int64_t tensor_linear_attention_backward_workspace(const LinearAttentionBackward& p,
                                                        const SimtContext& context);
std::int64_t tensor_linear_attention_backward_workspace(const LinearAttentionBackward& p,
                                                        const CudaContext& context);
Status tensor_linear_attention_backward(const LinearAttentionBackward& p,
                                        const SimtContext& context);
Status tensor_linear_attention_backward(const LinearAttentionBackward& p,
                                        const CudaContext& context);

}  // namespace basin::kernels

// Variant 2 of linear attention: chunks of queries as matrix products. Arguments as checked by
// linear_attention_forward() and linear_attention_backward().
#pragma once

#include "kernels/association/linear_attention.h"

namespace basin::kernels {

std::int64_t chunked_linear_attention_forward_workspace(const LinearAttentionForward&,
                                                        const CpuContext&);
void chunked_linear_attention_forward(const LinearAttentionForward&, const CpuContext&);

std::int64_t chunked_linear_attention_backward_workspace(const LinearAttentionBackward&,
                                                         const CpuContext&);
void chunked_linear_attention_backward(const LinearAttentionBackward&, const CpuContext&);

}  // namespace basin::kernels

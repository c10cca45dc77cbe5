// Attention on tensor cores.
#pragma once

#include "kernels/association/softmax_attention.h"

namespace basin::kernels {

/// attention_forward for q, k, v and out in bf16, with beta and lse in f32. Sums are f32; weights
/// are rounded to bf16 before they meet the values. p is checked and not empty.
Status tensor_attention_forward(const AttentionForward& p, const SimtContext& context);
Status tensor_attention_forward(const AttentionForward& p, const CudaContext& context);

}  // namespace basin::kernels

// The first rung of the ladder that attention climbs on a GPU.
#pragma once

#include "kernels/association/softmax_attention.h"

namespace basin::kernels {

/// attention_forward with a thread for each query: what one would write first, and slow. f32 or
/// f64; p is checked and has queries.
Status attention_by_threads(const AttentionForward& p, const SimtContext& context);
Status attention_by_threads(const AttentionForward& p, const CudaContext& context);

}  // namespace basin::kernels

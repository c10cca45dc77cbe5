// Variant 3 of retrieval on a GPU in bf16: the loops of tensor_attention_*.cuh over gathered keys.
#pragma once

#include "kernels/association/retrieval.h"

namespace basin::kernels {

/// Where tiles_apply_on_device(), for q, k, v, out, dout, dq, dk and dv in bf16; the rest is f32.
/// Rounded are weights and slopes where they meet what they are multiplied with, and results.
std::int64_t retrieval_tensor_forward_workspace(const RetrievalForward&, const SimtContext&);
std::int64_t retrieval_tensor_forward_workspace(const RetrievalForward&, const CudaContext&);
Status retrieval_tensor_forward(const RetrievalForward&, const SimtContext&);
Status retrieval_tensor_forward(const RetrievalForward&, const CudaContext&);

/// But for dalpha.
std::int64_t retrieval_tensor_backward_workspace(const RetrievalBackward&, const SimtContext&);
std::int64_t retrieval_tensor_backward_workspace(const RetrievalBackward&, const CudaContext&);
Status retrieval_tensor_backward(const RetrievalBackward&, const SimtContext&);
Status retrieval_tensor_backward(const RetrievalBackward&, const CudaContext&);

}  // namespace basin::kernels

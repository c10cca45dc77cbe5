// Variant 3 of retrieval on a GPU by tensor cores: the loops of tensor_attention_*.cuh over
// gathered keys.
#pragma once

#include "kernels/association/retrieval.h"

namespace basin::kernels {

/// Whether retrieval_tiles_*() call the functions below. P is their argument.
template <class P>
bool retrieves_on_tensor_cores(const P& p) {
  return p.dtype == DType::bf16 ||
         (p.dtype == DType::f32 && (p.precision == Precision::tf32 || p.variant == 4));
}

/// Where tiles_apply_on_device(). q, k, v and out in bf16, the rest in f32; rounded are weights
/// where they meet the values, and results. All in f32, in tf32: q, k, v and weights are rounded as
/// they are multiplied. All in f32, in f32: each of them is taken in two parts of tf32
/// (tensor_tf32.cuh). There are queries.
std::int64_t retrieval_tensor_forward_workspace(const RetrievalForward&, const SimtContext&);
std::int64_t retrieval_tensor_forward_workspace(const RetrievalForward&, const CudaContext&);
Status retrieval_tensor_forward(const RetrievalForward&, const SimtContext&);
Status retrieval_tensor_forward(const RetrievalForward&, const CudaContext&);

/// Likewise, but for dalpha. In bf16 dout, dq, dk and dv are bf16, too. Slopes are rounded as
/// weights are.
std::int64_t retrieval_tensor_backward_workspace(const RetrievalBackward&, const SimtContext&);
std::int64_t retrieval_tensor_backward_workspace(const RetrievalBackward&, const CudaContext&);
Status retrieval_tensor_backward(const RetrievalBackward&, const SimtContext&);
Status retrieval_tensor_backward(const RetrievalBackward&, const CudaContext&);

/// Their parts for f32. The tiles of both are the same, and so is what they leave in between.
std::int64_t retrieval_tf32_forward_workspace(const RetrievalForward&, const SimtContext&);
std::int64_t retrieval_tf32_forward_workspace(const RetrievalForward&, const CudaContext&);
Status retrieval_tf32_forward(const RetrievalForward&, const SimtContext&);
Status retrieval_tf32_forward(const RetrievalForward&, const CudaContext&);
Status retrieval_split_forward(const RetrievalForward&, const SimtContext&);
Status retrieval_split_forward(const RetrievalForward&, const CudaContext&);
std::int64_t retrieval_tf32_backward_workspace(const RetrievalBackward&, const SimtContext&);
std::int64_t retrieval_tf32_backward_workspace(const RetrievalBackward&, const CudaContext&);
Status retrieval_tf32_backward(const RetrievalBackward&, const SimtContext&);
Status retrieval_tf32_backward(const RetrievalBackward&, const CudaContext&);
Status retrieval_split_backward(const RetrievalBackward&, const SimtContext&);
Status retrieval_split_backward(const RetrievalBackward&, const CudaContext&);

}  // namespace basin::kernels

// Variant 4 of retrieval: softmax over the keys with the largest scores. The scores of a tile of
// queries are stored, the k-th largest of each row is found from a sample and one pass
// (simd/select-inl.h), and what is kept goes through a list, which is all that the read-out and the
// gradients cost.
#pragma once

#include "kernels/association/retrieval.h"

namespace basin::kernels {

/// Whether this can compute it: softmax over top-k, one step, nothing dropped.
template <class P>
bool top_applies(const P& p) {
  return p.separation.kind == Separation::softmax && p.visibility.has_top() &&
         !p.separation.normalise_all && p.dropout.p == 0 && p.update_steps == 1 &&
         (p.dtype == DType::f32 || p.dtype == DType::f64);
}

/// Arguments as checked by retrieval_forward() and retrieval_backward(), for which top_applies().
std::int64_t retrieval_top_forward_workspace(const RetrievalForward&, const CpuContext&);
void retrieval_top_forward(const RetrievalForward&, const CpuContext&);

std::int64_t retrieval_top_backward_workspace(const RetrievalBackward&, const CpuContext&);
void retrieval_top_backward(const RetrievalBackward&, const CpuContext&);

}  // namespace basin::kernels

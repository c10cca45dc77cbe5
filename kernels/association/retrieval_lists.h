// Variant 2 of retrieval: sparsemax and entmax by one pass over the scores that keeps, for each
// query, a short list of the keys that may have a weight. The root tau of any subset of a row is a
// lower bound of the row's, so a key below the bound of the list has weight 0 whatever comes later.
// Scores are never stored, the read-out and the whole backward pass cost what the support does. A
// row whose list overflows (nearly uniform weights) is solved from its stored scores.
#pragma once

#include "kernels/association/retrieval.h"

namespace basin::kernels {

/// Whether the lists can compute this: sparsemax or entmax, one step, no top-k, nothing dropped.
template <class P>
bool lists_apply(const P& p) {
  const bool sparse =
      p.separation.kind == Separation::sparsemax || p.separation.kind == Separation::entmax;
  return sparse && !p.visibility.has_top() && !p.separation.normalise_all && p.dropout.p == 0 &&
         p.update_steps == 1 && (p.dtype == DType::f32 || p.dtype == DType::f64);
}

/// On a GPU a head is at most 256 wide besides.
template <class P>
bool lists_apply_on_device(const P& p) {
  return lists_apply(p) && p.D <= 256 && p.Dv <= 256;
}

/// Arguments as checked by retrieval_forward() and retrieval_backward(), for which lists_apply().
std::int64_t retrieval_lists_forward_workspace(const RetrievalForward&, const CpuContext&);
void retrieval_lists_forward(const RetrievalForward&, const CpuContext&);

std::int64_t retrieval_lists_backward_workspace(const RetrievalBackward&, const CpuContext&);
void retrieval_lists_backward(const RetrievalBackward&, const CpuContext&);

/// The same where lists_apply_on_device(). An exponent of entmax outside (1, 2] makes NaN.
std::int64_t retrieval_lists_forward_workspace(const RetrievalForward&, const SimtContext&);
std::int64_t retrieval_lists_forward_workspace(const RetrievalForward&, const CudaContext&);
Status retrieval_lists_forward(const RetrievalForward&, const SimtContext&);
Status retrieval_lists_forward(const RetrievalForward&, const CudaContext&);
std::int64_t retrieval_lists_backward_workspace(const RetrievalBackward&, const SimtContext&);
std::int64_t retrieval_lists_backward_workspace(const RetrievalBackward&, const CudaContext&);
Status retrieval_lists_backward(const RetrievalBackward&, const SimtContext&);
Status retrieval_lists_backward(const RetrievalBackward&, const CudaContext&);

}  // namespace basin::kernels

// Variant 3 of retrieval: softmax and polynomial weights of any visible keys by tiles of 64
// queries. The keys that any query of a tile may see are gathered and packed, so that a window, or
// a random mask whose draws a tile shares, costs what is kept. Blocks of them go through matrix
// products with a running maximum, as in flash_attention.h; pairs that are hidden inside of a block
// get a weight of 0.
#pragma once

#include "kernels/association/retrieval.h"

namespace basin::kernels {

/// Whether tiles can compute this: softmax or polynomial, one step, no top-k, nothing dropped.
template <class P>
bool tiles_apply(const P& p) {
  const bool streams =
      p.separation.kind == Separation::softmax || p.separation.kind == Separation::polynomial;
  return streams && !p.visibility.has_top() && !p.separation.normalise_all && p.dropout.p == 0 &&
         p.update_steps == 1 && (p.dtype == DType::f32 || p.dtype == DType::f64);
}

/// Arguments as checked by retrieval_forward() and retrieval_backward(), for which tiles_apply().
std::int64_t retrieval_tiles_forward_workspace(const RetrievalForward&, const CpuContext&);
void retrieval_tiles_forward(const RetrievalForward&, const CpuContext&);

std::int64_t retrieval_tiles_backward_workspace(const RetrievalBackward&, const CpuContext&);
void retrieval_tiles_backward(const RetrievalBackward&, const CpuContext&);

}  // namespace basin::kernels

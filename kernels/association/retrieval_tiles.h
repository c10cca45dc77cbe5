// Variant 3 of retrieval: softmax and polynomial weights of any visible keys by tiles of 64
// queries. The keys that any query of a tile may see are gathered and packed, so that a window, or
// a random mask whose draws a tile shares, costs what is kept. Blocks of them go through matrix
// products with a running maximum, as in flash_attention.h; pairs that are hidden inside of a block
// get a weight of 0. On a GPU softmax alone, by the loops of softmax_attention_*.cuh
// (gathered_walk.cuh); pairs that are hidden inside of a tile are left out of the products there.
// What tensor cores multiply goes on to retrieval_tensor.h. Over top-k, too: the threshold of each
// query is found before (retrieval_thresholds.h), and what is below it is left out.
#pragma once

#include <algorithm>

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

/// Whether they can on a GPU: softmax in one step, no top-k, heads at most 256 wide. Dropped
/// weights and normalise_all, too: there a pair can take part in the sum without being read.
template <class P>
bool tiles_apply_on_device(const P& p) {
  return p.separation.kind == Separation::softmax && !p.visibility.has_top() &&
         p.update_steps == 1 && std::max(p.D, p.Dv) <= 256;
}

/// Whether they can on a GPU where there is a top-k: as above, in f32 or f64, not on tensor cores.
template <class P>
bool top_tiles_apply_on_device(const P& p) {
  return p.separation.kind == Separation::softmax && p.visibility.has_top() &&
         p.update_steps == 1 && std::max(p.D, p.Dv) <= 256 &&
         (p.dtype == DType::f32 || p.dtype == DType::f64) && p.precision == Precision::f32;
}

/// Arguments as checked by retrieval_forward() and retrieval_backward(), for which tiles_apply().
std::int64_t retrieval_tiles_forward_workspace(const RetrievalForward&, const CpuContext&);
void retrieval_tiles_forward(const RetrievalForward&, const CpuContext&);

std::int64_t retrieval_tiles_backward_workspace(const RetrievalBackward&, const CpuContext&);
void retrieval_tiles_backward(const RetrievalBackward&, const CpuContext&);

/// The same where tiles_apply_on_device() or top_tiles_apply_on_device().
std::int64_t retrieval_tiles_forward_workspace(const RetrievalForward&, const SimtContext&);
std::int64_t retrieval_tiles_forward_workspace(const RetrievalForward&, const CudaContext&);
Status retrieval_tiles_forward(const RetrievalForward&, const SimtContext&);
Status retrieval_tiles_forward(const RetrievalForward&, const CudaContext&);
std::int64_t retrieval_tiles_backward_workspace(const RetrievalBackward&, const SimtContext&);
std::int64_t retrieval_tiles_backward_workspace(const RetrievalBackward&, const CudaContext&);
Status retrieval_tiles_backward(const RetrievalBackward&, const SimtContext&);
Status retrieval_tiles_backward(const RetrievalBackward&, const CudaContext&);

}  // namespace basin::kernels

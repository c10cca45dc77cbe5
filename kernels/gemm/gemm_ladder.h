// The matrix products that are written for a GPU by hand. gemm() calls them for variants 1 to 3,
// and where the library has no kernel.
#pragma once

#include "kernels/gemm/gemm.h"

namespace basin::kernels {

/// The product of checked arguments with a dtype of f32 or f64; `variant` 1, 2 or 3, else 3.
Status gemm_ladder(const Gemm&, const SimtContext&);
Status gemm_ladder(const Gemm&, const CudaContext&);

/// Adds bias to every row of C.
Status gemm_add_bias(const Gemm&, const SimtContext&);
Status gemm_add_bias(const Gemm&, const CudaContext&);

}  // namespace basin::kernels

// Variant 3 of gemm: packed panels and a register-blocked product in vector instructions.
#pragma once

#include "kernels/gemm/gemm.h"

namespace basin::kernels {

/// Arguments as checked by gemm(), k > 0. Workspace: see gemm_workspace().
void gemm_simd(const Gemm& p, const CpuContext& context);
/// The same, and `y` (in the layout of C) = gelu(C), each block of it while that block of C is in
/// the second-level cache. A must be as it is stored (no transpose_a); y may be C.
void gemm_simd_gelu(const Gemm& p, void* y, const CpuContext& context);
std::int64_t gemm_simd_workspace(const Gemm& p, const CpuContext& context);

}  // namespace basin::kernels

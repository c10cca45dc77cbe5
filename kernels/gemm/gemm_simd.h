// Variant 3 of gemm: packed panels and a register-blocked product in vector instructions.
#pragma once

#include "kernels/gemm/gemm.h"

namespace basin::kernels {

/// Arguments as checked by gemm(), k > 0. Workspace: see gemm_workspace().
void gemm_simd(const Gemm& p, const CpuContext& context);
std::int64_t gemm_simd_workspace(const Gemm& p, const CpuContext& context);

}  // namespace basin::kernels

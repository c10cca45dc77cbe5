// Variant 2 of linear_cross_entropy. Arguments as checked there.
#pragma once

#include "kernels/loss/linear_cross_entropy.h"

namespace basin::kernels {

std::int64_t linear_cross_entropy_tiles_workspace(const LinearCrossEntropy&, const CpuContext&);
void linear_cross_entropy_tiles(const LinearCrossEntropy&, const CpuContext&);

}  // namespace basin::kernels

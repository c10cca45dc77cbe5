// Random patterns of -1 and 1, and damage done to them.
#pragma once

#include <cstdint>

#include "tensor/rng.h"

namespace basin::nn {

/// Each number -1 or 1 with probability one half.
Tensor random_signs(const Shape& shape, Rng& rng, DType dtype);

/// A copy in which exactly `count` different numbers of each row along the last dimension have
/// changed their sign. Throws Error unless 0 <= count <= the width of a row.
Tensor flip_units(const Tensor& patterns, std::int64_t count, Rng& rng);

/// The share of equal units in each row of two tensors of one shape (..., N): (...) f64.
Tensor equal_units(const Tensor& a, const Tensor& b);

}  // namespace basin::nn

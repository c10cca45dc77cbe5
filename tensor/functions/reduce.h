// Reductions of tensors.
#pragma once

#include <vector>

#include <span>

#include "tensor/tensor.h"

namespace basin {

/// The sum over dimension `dim` (negative from the end); with `keep` the dimension stays with
/// extent 1. f32 or f64, accumulated in double.
Tensor sum(const Tensor& x, int dim, bool keep = false);
/// The sum of all elements, shape ().
Tensor sum(const Tensor& x);
/// x summed over the dimensions along which `shape` would have to be broadcast to become the shape
/// of x: the gradient of broadcasting. Returns x itself if the shapes agree.
Tensor sum_to(const Tensor& x, const Shape& shape);

/// The largest element along `dim`, and the index (i64) of the first such. Throws Error for an
/// empty dimension.
Tensor max(const Tensor& x, int dim, bool keep = false);
Tensor argmax(const Tensor& x, int dim, bool keep = false);

/// The sum of the squares of all elements, in double: a scalar (f64) on the device of x.
Tensor sum_of_squares(const Tensor& x);
/// The same over all elements of several tensors of one dtype on one device; at least one.
Tensor sum_of_squares(std::span<const Tensor> tensors);

}  // namespace basin

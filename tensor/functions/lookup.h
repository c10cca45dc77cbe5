// Embedding and dropout: the functions of an index.
#pragma once

#include "tensor/rng.h"
#include "tensor/tensor.h"

namespace basin {

/// table (V, D) at ids (...) i64: (..., D). Throws Error naming the position of an id outside [0,
/// V).
Tensor embedding(const Tensor& table, const Tensor& ids);
/// The gradient by the table, (V, D).
Tensor embedding_backward(const Tensor& ids, const Tensor& dy, std::int64_t vocabulary);

/// x with each element zeroed with probability p and the others scaled by 1 / (1 - p); the mask is
/// a function of (key, stream, element index). Applied to dy it is its own gradient.
Tensor dropout(const Tensor& x, double p, std::uint64_t key, std::uint64_t stream);
/// The same; the draw's offset, if it has one, lies where x lies.
Tensor dropout(const Tensor& x, double p, const Draw& draw);

}  // namespace basin

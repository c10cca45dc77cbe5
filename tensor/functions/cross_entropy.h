// Mean cross-entropy of class logits.
#pragma once

#include "tensor/tensor.h"

namespace basin {

struct CrossEntropyResult {
  Tensor loss;             ///< shape (), the mean over rows that are not ignored, in nats
  Tensor lse;              ///< (rows), for the backward pass
  std::int64_t count = 0;  ///< rows that are not ignored
};

/// logits (..., classes), targets (...) i64; see kernels::CrossEntropyForward. Throws Error if
/// every row is ignored (the mean of nothing) or a target lies outside the classes.
CrossEntropyResult cross_entropy(const Tensor& logits, const Tensor& targets,
                                 std::int64_t ignore_index, double label_smoothing);

/// dlogits for a loss whose gradient is the scalar `dloss`.
Tensor cross_entropy_backward(const Tensor& logits, const Tensor& targets, const Tensor& lse,
                              std::int64_t count, const Tensor& dloss, std::int64_t ignore_index,
                              double label_smoothing);

}  // namespace basin

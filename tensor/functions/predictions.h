// What an output layer predicts, without the logits of all rows at once.
#pragma once

#include "kernels/common/precision.h"
#include "tensor/tensor.h"

namespace basin {

struct Predictions {
  Tensor loss;   ///< (...) of the dtype of x: cross-entropy in nats, 0 where the target is ignored
  Tensor token;  ///< (...) i64: the class with the largest logit, the first of equals
};

/// Of logits x weight^T + bias: x (..., width), weight (classes, width), bias (classes) or
/// undefined, targets (...) i64. Takes as many rows at a time as have 16 million logits. Throws
/// Error for shapes and targets that do not fit.
Predictions predictions(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const Tensor& targets, std::int64_t ignore_index,
                        Precision precision = Precision::f32);

}  // namespace basin

// The output layer and its loss without its logits.
#pragma once

#include "kernels/common/precision.h"
#include "tensor/tensor.h"

namespace basin {

struct LinearCrossEntropyResult {
  Tensor loss;  ///< scalar: the mean over the rows whose target is not ignored, in nats
  /// Of the loss; undefined unless asked for, dbias also without a bias.
  Tensor dx, dweight, dbias;
};

/// See kernels::LinearCrossEntropy: x (..., width), weight (classes, width), bias (classes) or
/// undefined, targets (...) i64. Throws Error for shapes and targets that do not fit, and if every
/// target is ignored. Targets that lie on a device already are not looked at by the host and must
/// lie where x lies: what does not fit makes the loss NaN.
LinearCrossEntropyResult linear_cross_entropy(const Tensor& x, const Tensor& weight,
                                              const Tensor& bias, const Tensor& targets,
                                              std::int64_t ignore_index, double label_smoothing,
                                              bool with_gradients,
                                              Precision precision = Precision::f32);

}  // namespace basin

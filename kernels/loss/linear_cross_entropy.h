// The output layer of a classifier and its cross-entropy in one: logits = x W^T + bias exist for a
// block of rows at a time, so that a vocabulary of 50 257 does not cost 200 kB a token.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/precision.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// row_loss[r] as in cross_entropy.h. Unless dx is null, the gradients of scale * sum_r row_loss[r]
/// are computed in the same pass, while the logits are at hand: with
/// dlogits[r, c] = scale (softmax_c - s / classes - (1 - s) [c = target_r]),
/// dx = dlogits W, dweight = dlogits^T x, dbias = sum_r dlogits. Rows whose target is ignore_index
/// are not read and cost nothing; their row_loss and dx are 0. A target outside [0, classes) gives
/// an invalid status with its position. All matrices are contiguous. On a GPU, which the host does
/// not wait for, such a target makes the loss of the row, its dx and all of dweight and dbias NaN,
/// and ignored rows cost what others do.
/// With a precision of fewer bits (f32 only) x, weight and, for dx and dweight, dlogits are rounded
/// where they are factors of a product; dbias adds up dlogits as they are.
/// Variants: 0 best, 1 blocks of rows through gemm() and the kernels of cross_entropy.h, 2 tiles of
/// logits that are made, judged and used while they are in the cache. A GPU has the first only,
/// whatever is asked for.
struct LinearCrossEntropy {
  const void* x;                ///< (rows, width)
  const void* weight;           ///< (classes, width)
  const void* bias;             ///< (classes), or null
  const std::int64_t* targets;  ///< (rows)
  void* row_loss;               ///< (rows), in nats
  void* dx;                     ///< (rows, width), or null together with the next two
  void* dweight;                ///< (classes, width)
  void* dbias;                  ///< (classes), or null
  void* workspace;              ///< linear_cross_entropy_workspace() bytes
  std::int64_t rows, width, classes;
  std::int64_t ignore_index;
  double label_smoothing;
  double scale;
  DType dtype;
  int variant = 0;
  /// How many logits may exist at the same time; a block has 96 rows at least.
  std::int64_t most_logits = std::int64_t{24} << 20;
  Precision precision = Precision::f32;  ///< of the factors of the three products
  /// Unless null, on a GPU: where the targets lie; it holds the scale, and `scale` is not looked
  /// at.
  const double* scale_pointer = nullptr;
};
std::int64_t linear_cross_entropy_workspace(const LinearCrossEntropy&, const CpuContext&);
std::int64_t linear_cross_entropy_workspace(const LinearCrossEntropy&, const SimtContext&);
std::int64_t linear_cross_entropy_workspace(const LinearCrossEntropy&, const CudaContext&);
Status linear_cross_entropy(const LinearCrossEntropy&, const CpuContext&);
Status linear_cross_entropy(const LinearCrossEntropy&, const SimtContext&);
Status linear_cross_entropy(const LinearCrossEntropy&, const CudaContext&);

}  // namespace basin::kernels

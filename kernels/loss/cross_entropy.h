// Cross-entropy of class logits, with ignored rows and label smoothing.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// row_loss[r] = lse_r - (1 - s) logits[r, target_r] - s mean_c logits[r, c], in nats, with
/// lse_r = ln sum_c exp logits[r, c] and smoothing s; 0 where target_r == ignore_index (such a row
/// is not read). A target outside [0, classes) gives an invalid status with its position; on a GPU,
/// which the host does not wait for, its row_loss and lse become NaN instead. logits
/// (rows, classes) contiguous, targets i64, row_loss and lse (rows) of the dtype of the logits.
struct CrossEntropyForward {
  const void* logits;
  const std::int64_t* targets;
  void* row_loss;
  void* lse;
  std::int64_t rows, classes;
  std::int64_t ignore_index;
  double label_smoothing;
  DType dtype;
};
Status cross_entropy_forward(const CrossEntropyForward&, const CpuContext&);
Status cross_entropy_forward(const CrossEntropyForward&, const SimtContext&);
Status cross_entropy_forward(const CrossEntropyForward&, const CudaContext&);

/// dlogits[r, c] = scale (exp(logits[r, c] - lse_r) - s / classes - (1 - s) [c = target_r]), 0 for
/// an ignored row. A target outside [0, classes) is answered as above, its row of dlogits becomes
/// NaN on a GPU. dlogits may be logits. For a
/// mean, scale = dloss / (number of rows not ignored).
struct CrossEntropyBackward {
  const void* logits;
  const std::int64_t* targets;
  const void* lse;
  void* dlogits;
  std::int64_t rows, classes;
  std::int64_t ignore_index;
  double label_smoothing;
  double scale;
  DType dtype;
};
Status cross_entropy_backward(const CrossEntropyBackward&, const CpuContext&);
Status cross_entropy_backward(const CrossEntropyBackward&, const SimtContext&);
Status cross_entropy_backward(const CrossEntropyBackward&, const CudaContext&);

}  // namespace basin::kernels

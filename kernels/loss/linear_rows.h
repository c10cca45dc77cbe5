// What linear_cross_entropy does on a GPU to a block of rows, besides the matrix products.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// *scale = 1 / the number of targets that are not ignore_index; infinite if there are none. Where
/// the targets are new in every repetition of a recorded step, so is their number.
struct LinearTargetScale {
  const std::int64_t* targets;
  std::int64_t rows;
  std::int64_t ignore_index;
  double* scale;
};
Status linear_target_scale(const LinearTargetScale&, const SimtContext&);
Status linear_target_scale(const LinearTargetScale&, const CudaContext&);

/// counted[r, :] = x[r, :], and 0 where targets[r] == ignore_index: what such a row holds must not
/// reach a product, not even multiplied by 0.
struct LinearCountedRows {
  const void* x;
  void* counted;
  const std::int64_t* targets;
  std::int64_t rows, width;
  std::int64_t ignore_index;
  DType dtype;
};
Status linear_counted_rows(const LinearCountedRows&, const SimtContext&);
Status linear_counted_rows(const LinearCountedRows&, const CudaContext&);

/// row_loss of cross_entropy.h and, with `slopes`, dlogits in the place of the logits; the row is
/// still in the cache when it is read again for that. Rows that are ignored become 0, rows with a
/// target outside the classes NaN.
struct LinearJudgedRows {
  void* logits;  ///< (rows, classes)
  const std::int64_t* targets;
  void* row_loss;
  std::int64_t rows, classes;
  std::int64_t ignore_index;
  double label_smoothing;
  double scale;
  bool slopes;
  DType dtype;
  const double* scale_pointer = nullptr;  ///< see LinearCrossEntropy
};
Status linear_judged_rows(const LinearJudgedRows&, const SimtContext&);
Status linear_judged_rows(const LinearJudgedRows&, const CudaContext&);

/// sum[c] = (adds ? sum[c] : 0) + the sum over r of x[r, c], in double and in a fixed order.
struct LinearColumnSums {
  const void* x;  ///< (rows, columns)
  void* sum;
  std::int64_t rows, columns;
  bool adds;
  DType dtype;
};
Status linear_column_sums(const LinearColumnSums&, const SimtContext&);
Status linear_column_sums(const LinearColumnSums&, const CudaContext&);

}  // namespace basin::kernels

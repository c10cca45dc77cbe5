// Momentum whose every step is as long as the learning rate. D. Krotov, J. Hopfield, Dense
// associative memory for pattern recognition (2016), appendix A.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// g = gradient_scale gradient; u = momentum u + g, from u = 0; of each row,
///   p = clip(p - lr u / max(max |u|, floor), -bound, bound):
/// the largest change in a row is the learning rate, however steep or flat the loss is there. The
/// floor is the smallest normal number of the dtype, so that a row of zeros stays; what is below it
/// in u or gradient counts as 0. Contiguous, (rows, columns).
struct RowMomentum {
  void* parameter;
  const void* gradient;
  void* u;
  std::int64_t rows, columns;
  double lr, momentum;
  double bound;  ///< above 0; infinity: nothing is clipped
  double gradient_scale;
  DType dtype;
  /// As in adamw.h: unless null, a factor of gradient_scale that lies where the arrays lie; nothing
  /// is changed if it is not finite.
  const double* gradient_scale_pointer = nullptr;
};
Status row_momentum(const RowMomentum&, const CpuContext&);

}  // namespace basin::kernels

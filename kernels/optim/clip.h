// The factor that limits the norm of a gradient, made where the gradient lies.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// *norm = sqrt(*squares), the sum of the squares of all gradients (SumOfSquaresList in
/// reduce/reduce.h). *scale = min(1, clip_norm / (norm + 1e-6)), or 1 for clip_norm == 0; where the
/// norm is not finite it is NaN, which the optimizers take as the sign to change nothing. *steps
/// grows by one where the factor is finite: a step that changed nothing does not count. Every
/// pointer lies where the kernel runs; `steps` may be null.
struct ClipScale {
  const double* squares;
  double clip_norm;
  double* scale;
  double* norm;
  std::int64_t* steps;
  /// Unless null, another number that has to be finite, such as the loss; f32 or f64.
  const void* watched = nullptr;
  DType watched_dtype = DType::f32;
  /// Unless null, it becomes 1 where the factor is NaN, and the factor is NaN while it is not 0:
  /// steps that were queued before anybody knew change nothing either.
  std::int64_t* halted = nullptr;
};
Status clip_scale(const ClipScale&, const CpuContext&);
Status clip_scale(const ClipScale&, const SimtContext&);
Status clip_scale(const ClipScale&, const CudaContext&);

}  // namespace basin::kernels

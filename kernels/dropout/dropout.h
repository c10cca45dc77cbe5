// Dropout whose mask is a function of (key, stream, element index): it is drawn again in the
// backward pass and never stored.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// y[i] = x[i] / (1 - p) where uniform(key, stream, i) >= p, else exactly 0 (also for NaN and inf).
/// The same call with dy for x is the backward pass. y may be x. 0 <= p < 1.
struct Dropout {
  const void* x;
  void* y;
  std::int64_t count;
  double p;
  std::uint64_t key;
  std::uint64_t stream;
  DType dtype;
  /// Unless null, a number that is added to `stream` and lies where x lies: what changes from step
  /// to step must not be an argument of a launch that is recorded once and repeated.
  const std::int64_t* stream_offset = nullptr;
};
Status dropout(const Dropout&, const CpuContext&);
Status dropout(const Dropout&, const SimtContext&);
Status dropout(const Dropout&, const CudaContext&);

}  // namespace basin::kernels

// Reductions along one axis of a contiguous array seen as (outer, extent, inner).
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

enum class ReduceOp : std::uint8_t { sum, max, argmax };

/// y[o, i] = op over e of x[o, e, i]; x f32 or f64; y has the dtype of x, i64 for argmax. Sums are
/// accumulated in double in index order inside fixed pieces. argmax gives the first maximum, and
/// NaN counts as larger than every number. extent 0: sum is 0, max and argmax are invalid. With a
/// SimtContext: sums only.
struct Reduce {
  ReduceOp op;
  const void* x;
  void* y;
  std::int64_t outer, extent, inner;
  DType dtype;
};
Status reduce(const Reduce&, const CpuContext&);
Status reduce(const Reduce&, const SimtContext&);
Status reduce(const Reduce&, const CudaContext&);

inline constexpr std::int64_t kSumOfSquaresPiece = 16384;

/// *result = sum over i of x[i]^2 in double, with fixed pieces added in order. `partials` has room
/// for sum_of_squares_partials(count) doubles.
struct SumOfSquares {
  const void* x;
  double* result;
  double* partials;
  std::int64_t count;
  DType dtype;
};
std::int64_t sum_of_squares_partials(std::int64_t count);
Status sum_of_squares(const SumOfSquares&, const CpuContext&);

}  // namespace basin::kernels

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
/// NaN counts as larger than every number. extent 0: sum is 0, max and argmax are invalid.
struct Reduce {
  ReduceOp op;
  const void* x;
  void* y;
  std::int64_t outer, extent, inner;
  DType dtype;
  /// reduce_workspace() bytes, aligned to 8; the CPU needs none. Long sums that make few results
  /// are cut into pieces there; null: they are not, which is slow on a GPU.
  void* workspace = nullptr;
};
inline std::int64_t reduce_workspace(const Reduce&, const CpuContext&) { return 0; }
std::int64_t reduce_workspace(const Reduce&, const SimtContext&);
std::int64_t reduce_workspace(const Reduce&, const CudaContext&);
Status reduce(const Reduce&, const CpuContext&);
Status reduce(const Reduce&, const SimtContext&);
Status reduce(const Reduce&, const CudaContext&);

inline constexpr std::int64_t kSumOfSquaresPiece = 16384;

/// *result = sum over i of x[i]^2 in double, with fixed pieces added in order. `partials` has room
/// for sum_of_squares_partials(count) doubles. On a GPU, result and partials lie there, too.
struct SumOfSquares {
  const void* x;
  double* result;
  double* partials;
  std::int64_t count;
  DType dtype;
};
std::int64_t sum_of_squares_partials(std::int64_t count);
Status sum_of_squares(const SumOfSquares&, const CpuContext&);
Status sum_of_squares(const SumOfSquares&, const SimtContext&);
Status sum_of_squares(const SumOfSquares&, const CudaContext&);

/// An array among others.
struct NumberArray {
  const void* x;
  std::int64_t count;
};

/// *result = the sum of the squares of all elements of all arrays, in a few launches. `arrays` is
/// read before the call returns and lies in the memory of the host; the rest as above, `partials`
/// with room for the sum of sum_of_squares_partials() over the arrays.
struct SumOfSquaresList {
  const NumberArray* arrays;
  std::int64_t array_count;
  double* result;
  double* partials;
  DType dtype;
};
Status sum_of_squares(const SumOfSquaresList&, const CpuContext&);
Status sum_of_squares(const SumOfSquaresList&, const SimtContext&);
Status sum_of_squares(const SumOfSquaresList&, const CudaContext&);

}  // namespace basin::kernels

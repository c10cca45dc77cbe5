// The factors of a product with fewer bits, before they meet.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/precision.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// to[b, r, c] = from[b, r, c] rounded to the bits of `precision` (f32: none is lost). Rows and
/// items lie any distance apart; what is between rows of `to` is left as it is. With `halves`, `to`
/// is an array of bf16 (and the precision is bf16), else of f32. No gaps are read.
struct RoundFactors {
  const float* from;
  void* to;
  std::int64_t batch, rows, columns;
  std::int64_t from_row, from_batch;
  std::int64_t to_row, to_batch;
  Precision precision;
  bool halves = false;
};
Status round_factors(const RoundFactors&, const CpuContext&);
Status round_factors(const RoundFactors&, const SimtContext&);
Status round_factors(const RoundFactors&, const CudaContext&);

static inline Status check_round_factors(const RoundFactors& p) {
  if (p.batch < 0 || p.rows < 0 || p.columns < 0) {
    return Status::invalid("round_factors: negative extent");
  }
  if (p.halves && p.precision != Precision::bf16) {
    return Status::invalid("round_factors: an array of bf16 holds factors in bf16 only");
  }
  return {};
}

}  // namespace basin::kernels

#include <algorithm>

#include "kernels/common/half.h"
#include "kernels/gemm/round_factors.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/round_factors_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/round-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

void round_rows_target(const RoundFactors& p, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t item = row / p.rows;
    const float* const from = p.from + item * p.from_batch + row % p.rows * p.from_row;
    const std::int64_t at = item * p.to_batch + row % p.rows * p.to_row;
    if (p.halves) {
      auto* const to = static_cast<BFloat16*>(p.to) + at;
      for (std::int64_t c = 0; c < p.columns; ++c) {
        to[c] = to_bfloat16(from[c]);
      }
    } else {
      round_row(from, static_cast<float*>(p.to) + at, p.columns, p.precision);
    }
  }
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(round_rows_target);

Status round_factors(const RoundFactors& p, const CpuContext& context) {
  if (const Status status = check_round_factors(p); !status.ok()) {
    return status;
  }
  constexpr std::int64_t kNumbers = 32768;  // of a piece of work
  const std::int64_t rows =
      std::max<std::int64_t>(1, kNumbers / std::max<std::int64_t>(1, p.columns));
  for_ranges(context, p.batch * p.rows, rows, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(round_rows_target)(p, begin, end);
  });
  return {};
}

}  // namespace basin::kernels
#endif

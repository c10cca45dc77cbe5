#include "kernels/gemm/round_factors.h"

#include "kernels/common/half.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

BASIN_DEVICE inline void store_factor(float* to, float value, Precision precision) {
  *to = precision == Precision::bf16   ? without_low_bits<kCutBits<Precision::bf16>>(value)
        : precision == Precision::tf32 ? without_low_bits<kCutBits<Precision::tf32>>(value)
                                       : value;
}
BASIN_DEVICE inline void store_factor(BFloat16* to, float value, Precision) {
  *to = to_bfloat16(value);
}

constexpr int kColumnThreads = 64;
constexpr int kRowThreads = 4;

// A warp takes neighbouring columns of a row. The rows of all items come one after the other.
template <class T>
BASIN_KERNEL void round_kernel(RoundFactors p) {
  const std::int64_t across = pieces_of(p.columns, kColumnThreads);
  const std::int64_t pieces = pieces_of(p.batch * p.rows, kRowThreads) * across;
  for (std::int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const std::int64_t row = piece / across * kRowThreads + threadIdx.y;
    const std::int64_t column = piece % across * kColumnThreads + threadIdx.x;
    if (row >= p.batch * p.rows || column >= p.columns) {
      continue;
    }
    const std::int64_t item = row / p.rows;
    const std::int64_t in_item = row % p.rows;
    store_factor(static_cast<T*>(p.to) + item * p.to_batch + in_item * p.to_row + column,
                 p.from[item * p.from_batch + in_item * p.from_row + column], p.precision);
  }
}

}  // namespace

Status round_factors(const RoundFactors& p, const DeviceContext& context) {
  if (const Status status = check_round_factors(p); !status.ok()) {
    return status;
  }
  if (p.batch == 0 || p.rows == 0 || p.columns == 0) {
    return {};
  }
  const std::int64_t pieces =
      pieces_of(p.batch * p.rows, kRowThreads) * pieces_of(p.columns, kColumnThreads);
  const LaunchShape shape{
      "round_factors", {blocks_for(pieces, 1), 1, 1}, {kColumnThreads, kRowThreads, 1}};
  return p.halves ? launch(shape, context, round_kernel<BFloat16>, p)
                  : launch(shape, context, round_kernel<float>, p);
}

}  // namespace basin::kernels

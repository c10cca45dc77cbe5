// delta_i = dout_i . out_i, which every gradient of a normalised read-out needs once for each
// query.
#pragma once

#include <cstdint>

#include "kernels/common/block_reduce.cuh"
#include "kernels/common/half.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

template <class T>
BASIN_DEVICE T summand(T number) {
  return number;
}
BASIN_DEVICE inline float summand(BFloat16 number) { return to_float(number); }

/// Numbers of dout as they are.
struct AsItIs {
  template <class T>
  BASIN_DEVICE static T multiplied(T number) {
    return number;
  }
};

/// A warp for a query of any head. P has out and dout (B,H,L,Dv) of T; sums are S. `Factor`: of
/// dout, what the products with v take for it. Else slopes would not add up to 0.
template <class T, class Factor, class S, class P>
BASIN_KERNEL void delta_kernel(P p, S* delta) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (at >= p.B * p.H * p.L) {
    return;  // the whole warp
  }
  const std::int64_t head = at / p.L;
  const std::int64_t i = at % p.L;
  const T* const out = p.out.template head<T>(head / p.H, head % p.H) + i * p.out.row_stride;
  const T* const dout = p.dout.template head<T>(head / p.H, head % p.H) + i * p.dout.row_stride;
  S sum = 0;
  for (std::int64_t c = threadIdx.x; c < p.Dv; c += kWarpSize) {
    sum += Factor::multiplied(summand(dout[c])) * summand(out[c]);
  }
  sum = warp_reduce<Sum>(sum);
  if (threadIdx.x == 0) {
    delta[at] = sum;
  }
}

/// `delta` (B,H,L) contiguous. `name`: of the launch.
template <class T, class Factor = AsItIs, class S, class P>
Status launch_delta(const char* name, const P& p, const DeviceContext& context, S* delta) {
  constexpr unsigned kQueriesOfBlock = 4;
  if (p.B * p.H * p.L == 0) {
    return {};
  }
  const auto blocks = static_cast<unsigned>(pieces_of(p.B * p.H * p.L, kQueriesOfBlock));
  return launch({name, {blocks, 1, 1}, {kWarpSize, kQueriesOfBlock, 1}}, context,
                delta_kernel<T, Factor, S, P>, p, delta);
}

}  // namespace

}  // namespace basin::kernels

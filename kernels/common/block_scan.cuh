// Where what each thread of a block has goes in a common list.
#pragma once

#include "kernels/common/device.h"

namespace basin::kernels {

/// The sum of `count` over the threads of the block in front of this one, and over all of them in
/// `total`. A block of whole warps along x, all of which call it; barriers stand within and at its
/// end.
BASIN_DEVICE inline int block_offset(int count, int& total) {
  struct OfWarps;
  int* const of_warp = shared<int, kWarpSize, OfWarps>();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  int sum = count;
  for (unsigned distance = 1; distance < kWarpSize; distance *= 2) {
    const int before = __shfl_up_sync(kAllLanes, sum, distance);
    sum += lane >= static_cast<int>(distance) ? before : 0;
  }
  if (lane == kWarpSize - 1) {
    of_warp[warp] = sum;
  }
  __syncthreads();
  int offset = sum - count;
  total = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / kWarpSize; ++w) {
    offset += w < warp ? of_warp[w] : 0;
    total += of_warp[w];
  }
  __syncthreads();
  return offset;
}

}  // namespace basin::kernels

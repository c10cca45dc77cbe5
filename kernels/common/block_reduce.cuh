// Sums and maxima over a warp and over a block, the same for every thread and in a fixed order.
#pragma once

#include <cmath>

#include "kernels/common/device.h"

namespace basin::kernels {

struct Sum {
  template <class T>
  BASIN_DEVICE static T identity() {
    return T(0);
  }
  template <class T>
  BASIN_DEVICE static T of(T a, T b) {
    return a + b;
  }
};

/// NaN is larger than every number.
struct Maximum {
  template <class T>
  BASIN_DEVICE static T identity() {
    return -T(INFINITY);
  }
  template <class T>
  BASIN_DEVICE static T of(T a, T b) {
    return a < b || b != b ? b : a;
  }
};

/// For every lane, Op over the 32 lanes of the warp; all of them must call it.
template <class Op, class T>
BASIN_DEVICE inline T warp_reduce(T value) {
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
    value = Op::of(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

/// For every thread, Op over the threads of a block of whole warps along x; all of them must call
/// it. A barrier stands at its end, so it may be called again.
template <class Op, class T>
BASIN_DEVICE inline T block_reduce(T value) {
  T* const of_warp = shared<T, kWarpSize, Op>();
  const unsigned lane = threadIdx.x % kWarpSize;
  const unsigned warp = threadIdx.x / kWarpSize;
  value = warp_reduce<Op>(value);
  if (lane == 0) {
    of_warp[warp] = value;
  }
  __syncthreads();
  value = lane < blockDim.x / kWarpSize ? of_warp[lane] : Op::template identity<T>();
  value = warp_reduce<Op>(value);
  __syncthreads();
  return value;
}

}  // namespace basin::kernels

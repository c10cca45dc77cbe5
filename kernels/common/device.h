// What device code may use: include this, kernels/common/ptx.cuh, math.h and nothing outside
// kernels/common. The same file of kernels is compiled by nvcc for a GPU and by the host's compiler
// for the executor in kernels/simt, which runs it on the CPU. CUDA's own names are used: threadIdx,
// __syncthreads, __shfl_xor_sync, atomicAdd. Shared memory is asked for:
//
//     float* const sums = shared<float, 32>();     // __shared__ float sums[32]
//     float* const tile = dynamic_shared<float>(); // extern __shared__ float tile[]
#pragma once

#include "kernels/common/qualifiers.h"

#ifdef __CUDACC__

#include <cuda_runtime.h>

#include <cstddef>

namespace basin::kernels {

using Index3 = dim3;
inline constexpr int kWarpSize = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

/// N elements of the block's shared memory, uninitialised, at a multiple of 16 bytes: packs can be
/// loaded from them. One array for each (T, N, Tag): a kernel that needs two of one type and length
/// gives them tags.
template <class T, int N, class Tag = void>
__device__ __forceinline__ T* shared() {
  static_assert(alignof(T) <= 16);
  __shared__ __align__(16) T storage[N];
  return storage;
}

/// The bytes that the launch asked for.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char basin_dynamic_shared[];
  return reinterpret_cast<T*>(basin_dynamic_shared);
}

/// The executor looks whether an access of so many bytes at once is allowed; a GPU does it itself.
__device__ __forceinline__ void expect_aligned(const void*, std::size_t) {}

}  // namespace basin::kernels

#else

#include "kernels/simt/device.h"

#endif

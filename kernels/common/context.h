// The three places where a kernel can run. A kernel is one overload for each:
//
//     Status softmax_forward(const SoftmaxForward&, const CpuContext&);   // softmax_cpu.cpp
//     Status softmax_forward(const SoftmaxForward&, const SimtContext&);  // softmax.cu, by the C++
//     compiler Status softmax_forward(const SoftmaxForward&, const CudaContext&);  // softmax.cu,
//     by nvcc
//
// Needs nothing of CUDA, so that every header compiles without it.
#pragma once

#include "kernels/common/thread_pool.h"
#include "kernels/simt/context.h"

struct CUstream_st;  // what CUDA's cudaStream_t points to

namespace basin::kernels {

/// Whether the overloads for CudaContext exist in this build. Where they do not, they are declared
/// and must not be called: ask first, with `if constexpr`.
#ifdef BASIN_WITH_CUDA
inline constexpr bool kCudaBuilt = true;
#else
inline constexpr bool kCudaBuilt = false;
#endif

/// Runs kernels on the current GPU. A call returns when its kernels are queued.
struct CudaContext {
  CUstream_st* stream = nullptr;  ///< null: CUDA's default stream
};

}  // namespace basin::kernels

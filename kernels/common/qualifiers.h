// The qualifiers of functions that run on a GPU. Macros, because a compiler that is not nvcc does
// not know the words behind them. nvcc wants __host__ __device__ in front of every function that
// kernels and the CPU share.
#pragma once

#ifdef __CUDACC__
#define BASIN_KERNEL __global__
// Between BASIN_KERNEL and the return type of a kernel: blocks have at most this many threads.
#define BASIN_AT_MOST(threads) __launch_bounds__(threads, 1)
// In front of a loop with constant bounds, so that the arrays it indexes can live in registers.
#define BASIN_UNROLL _Pragma("unroll")
#define BASIN_DEVICE __device__
#define BASIN_HOST_DEVICE __host__ __device__
#else
#define BASIN_KERNEL
#define BASIN_AT_MOST(threads)
#define BASIN_UNROLL
#define BASIN_DEVICE
#define BASIN_HOST_DEVICE
#endif

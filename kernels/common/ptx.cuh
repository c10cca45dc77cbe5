// The instructions of a GPU that CUDA has no function for: named barriers, copies that run in the
// background, powers of 2 by the special function unit. Inline PTX stands here and in
// ptx_matrix.cuh, nowhere else; beside it is what the executor does.
#pragma once

#include <cmath>

#include "kernels/common/device.h"

namespace basin::kernels {

#ifdef __CUDACC__

/// Waits at barrier `id` (1 ... 15) until `threads` threads have come; a multiple of 32.
__device__ __forceinline__ void named_barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/// Counts as having come to barrier `id`, and goes on.
__device__ __forceinline__ void named_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/// Copies `valid` bytes from global to shared memory in the background and sets the others of
/// `Bytes` (4, 8 or 16) to 0. Both addresses are multiples of Bytes. The thread that issued it must
/// wait; other threads need a barrier behind that.
template <int Bytes>
__device__ __forceinline__ void copy_async(void* target, const void* source, int valid = Bytes) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(target));
  if constexpr (Bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(source),
                 "r"(valid)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(source),
                 "n"(Bytes), "r"(valid)
                 : "memory");
  }
}

/// Closes a group of the copies that this thread has issued.
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most the last `Pending` groups of this thread are under way.
template <int Pending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

/// 2^x with a relative error of at most 2^-22; results that would be subnormal are 0. For
/// computations that round to 16 bits: math.h has the exact ones.
__device__ __forceinline__ float power_of_2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

#else

inline void named_barrier_sync(int id, int threads, simt::Location at = simt::Location::current()) {
  simt::named_barrier(id, threads, true, at);
}

inline void named_barrier_arrive(int id, int threads,
                                 simt::Location at = simt::Location::current()) {
  simt::named_barrier(id, threads, false, at);
}

template <int Bytes>
void copy_async(void* target, const void* source, int valid = Bytes,
                simt::Location at = simt::Location::current()) {
  simt::async_copy(target, source, Bytes, valid, at);
}

inline void copy_async_commit() { simt::async_commit(); }

template <int Pending>
void copy_async_wait() {
  simt::async_wait(Pending);
}

inline float power_of_2(float x) { return x < -126.0f ? 0.0f : std::exp2(x); }

#endif

}  // namespace basin::kernels

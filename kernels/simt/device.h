// CUDA's names for device code on the CPU. kernels/common/device.h includes this when the compiler
// is not nvcc. Behind the arguments that CUDA knows stands the place of the call, for messages.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/simt/engine.h"

namespace basin::kernels {

using simt::blockDim;
using simt::blockIdx;
using simt::gridDim;
using simt::Index3;
using simt::threadIdx;

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

namespace simt {

template <class T>
concept Exchangeable = std::is_arithmetic_v<T> &&(sizeof(T) == 4 || sizeof(T) == 8);

template <Exchangeable T>
T exchange(Collective what, unsigned mask, T value, std::int64_t argument, int width,
           const Location& at) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = warp_collective(what, mask, bits, argument, width, at);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T>
T reduce(Collective of_signed, Collective of_unsigned, unsigned mask, T value, const Location& at) {
  return exchange(std::is_signed_v<T> ? of_signed : of_unsigned, mask, value, 0, kWarpSize, at);
}

// The address tells apart the shared arrays of a kernel.
template <class T, int N, class Tag>
struct SharedKey {
  static constexpr char key = 0;
};

}  // namespace simt

/// N elements of the block's shared memory, uninitialised, at a multiple of 16 bytes: packs can be
/// loaded from them. One array for each (T, N, Tag): a kernel that needs two of one type and length
/// gives them tags.
template <class T, int N, class Tag = void>
T* shared(simt::Location at = simt::Location::current()) {
  static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 16);
  return static_cast<T*>(simt::static_shared(&simt::SharedKey<T, N, Tag>::key, sizeof(T) * N, at));
}

/// The bytes that the launch asked for.
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(simt::dynamic_shared());
}

/// An access of `bytes` bytes at once would be a fault of a GPU unless `address` is a multiple of
/// them. Call this in front of one.
inline void expect_aligned(const void* address, std::size_t bytes,
                           simt::Location at = simt::Location::current()) {
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    simt::misaligned_access(bytes, at);
  }
}

// NOLINTBEGIN(bugprone-reserved-identifier): these are CUDA's names.
inline void __syncthreads(simt::Location at = simt::Location::current()) {
  simt::block_barrier(at);
}

inline void __syncwarp(unsigned mask = kAllLanes, simt::Location at = simt::Location::current()) {
  simt::warp_collective(simt::Collective::sync, mask, 0, 0, kWarpSize, at);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = kWarpSize,
              simt::Location at = simt::Location::current()) {
  return simt::exchange(simt::Collective::shuffle, mask, value, lane, width, at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = kWarpSize,
                 simt::Location at = simt::Location::current()) {
  return simt::exchange(simt::Collective::shuffle_up, mask, value, distance, width, at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = kWarpSize,
                   simt::Location at = simt::Location::current()) {
  return simt::exchange(simt::Collective::shuffle_down, mask, value, distance, width, at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = kWarpSize,
                  simt::Location at = simt::Location::current()) {
  return simt::exchange(simt::Collective::shuffle_xor, mask, value, lane_mask, width, at);
}

inline unsigned __ballot_sync(unsigned mask, int vote,
                              simt::Location at = simt::Location::current()) {
  return static_cast<unsigned>(
      simt::warp_collective(simt::Collective::ballot, mask, vote != 0 ? 1 : 0, 0, kWarpSize, at));
}
inline int __any_sync(unsigned mask, int vote, simt::Location at = simt::Location::current()) {
  return static_cast<int>(
      simt::warp_collective(simt::Collective::any, mask, vote != 0 ? 1 : 0, 0, kWarpSize, at));
}
inline int __all_sync(unsigned mask, int vote, simt::Location at = simt::Location::current()) {
  return static_cast<int>(
      simt::warp_collective(simt::Collective::all, mask, vote != 0 ? 1 : 0, 0, kWarpSize, at));
}

// Of int and unsigned, as on the GPU.
template <class T>
requires(std::is_integral_v<T> && sizeof(T) == 4) T
    __reduce_add_sync(unsigned mask, T value, simt::Location at = simt::Location::current()) {
  return simt::exchange(simt::Collective::add, mask, value, 0, kWarpSize, at);
}
template <class T>
requires(std::is_integral_v<T> && sizeof(T) == 4) T
    __reduce_min_sync(unsigned mask, T value, simt::Location at = simt::Location::current()) {
  return simt::reduce(simt::Collective::min_signed, simt::Collective::min_unsigned, mask, value,
                      at);
}
template <class T>
requires(std::is_integral_v<T> && sizeof(T) == 4) T
    __reduce_max_sync(unsigned mask, T value, simt::Location at = simt::Location::current()) {
  return simt::reduce(simt::Collective::max_signed, simt::Collective::max_unsigned, mask, value,
                      at);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value,
                                  simt::Location at = simt::Location::current()) {
  return simt::exchange(simt::Collective::bit_and, mask, value, 0, kWarpSize, at);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value,
                                 simt::Location at = simt::Location::current()) {
  return simt::exchange(simt::Collective::bit_or, mask, value, 0, kWarpSize, at);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value,
                                  simt::Location at = simt::Location::current()) {
  return simt::exchange(simt::Collective::bit_xor, mask, value, 0, kWarpSize, at);
}

/// How many bits are set.
inline int __popc(unsigned bits) { return std::popcount(bits); }

/// a b and a + b, each rounded once: nvcc would make one instruction of both, and other bits.
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }

inline void __threadfence() { simt::memory_fence(); }
inline void __threadfence_block() { simt::memory_fence(); }
// NOLINTEND(bugprone-reserved-identifier)

// Atomics order nothing else, as on the GPU. Blocks may run on several threads of the CPU.
template <class T>
T atomicAdd(T* at, T value) {
  return std::atomic_ref<T>(*at).fetch_add(value, std::memory_order_relaxed);
}
template <class T>
T atomicCAS(T* at, T compare, T value) {
  std::atomic_ref<T>(*at).compare_exchange_strong(compare, value, std::memory_order_relaxed);
  return compare;
}
template <class T>
T atomicExch(T* at, T value) {
  return std::atomic_ref<T>(*at).exchange(value, std::memory_order_relaxed);
}
template <class T>
requires(std::is_integral_v<T>) T atomicMax(T* at, T value) {
  const std::atomic_ref<T> there(*at);
  T old = there.load(std::memory_order_relaxed);
  while (old < value && !there.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
  }
  return old;
}
template <class T>
requires(std::is_integral_v<T>) T atomicMin(T* at, T value) {
  const std::atomic_ref<T> there(*at);
  T old = there.load(std::memory_order_relaxed);
  while (value < old && !there.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
  }
  return old;
}

}  // namespace basin::kernels

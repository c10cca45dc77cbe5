// Tensor cores: small matrices from shared memory into the registers of a warp, and their products.
// fragments.h says which lane holds what. All 32 lanes of a warp call these together.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/common/device.h"
#include "kernels/common/fragments.h"
#include "kernels/common/half.h"

namespace basin::kernels {

/// Two elements of 16 bits in one register, as mma and ldmatrix have them.
BASIN_HOST_DEVICE constexpr std::uint32_t pack_halves(std::uint16_t low, std::uint16_t high) {
  return std::uint32_t{low} | std::uint32_t{high} << 16;
}

#ifdef __CUDACC__

/// Count (1, 2 or 4) matrices of 8 x 8 elements of 16 bits from shared memory. Lane 8 m + r passes
/// the address of row r of matrix m, a multiple of 16 bytes; the addresses of lanes from 8 Count on
/// are not used. Register m receives ldmatrix_place(lane, 0 and 1) of matrix m, or the transposed
/// place.
template <bool Transposed = false, int Count>
__device__ __forceinline__ void load_matrices(std::uint32_t (&to)[Count], const void* row) {
  static_assert(Count == 1 || Count == 2 || Count == 4);
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (Count == 1 && !Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                 : "=r"(to[0])
                 : "r"(from)
                 : "memory");
  } else if constexpr (Count == 1) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                 : "=r"(to[0])
                 : "r"(from)
                 : "memory");
  } else if constexpr (Count == 2 && !Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(to[0]), "=r"(to[1])
                 : "r"(from)
                 : "memory");
  } else if constexpr (Count == 2) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(to[0]), "=r"(to[1])
                 : "r"(from)
                 : "memory");
  } else if constexpr (!Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
  }
}

/// d = A B + d for M16N8K16, with A and B of type T (BFloat16 or Float16) and d in f32.
template <class T>
__device__ __forceinline__ void multiply_16x8x16(float (&d)[4], const std::uint32_t (&a)[4],
                                                 const std::uint32_t (&b)[2]) {
  static_assert(std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>);
  if constexpr (std::is_same_v<T, BFloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

/// d = A B + d for M16N8K8, with A and B as tf32 and d in f32.
__device__ __forceinline__ void multiply_16x8x8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                                     const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// pack_halves() of two numbers rounded to the nearest bf16, ties to even.
__device__ __forceinline__ std::uint32_t pack_bfloat16(float low, float high) {
  std::uint32_t both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}

/// The tf32 nearest to x, ties away from zero: sign, exponent and the upper 10 bits of the
/// fraction. A product takes any f32 for tf32 and ignores the lower bits; this rounds instead.
__device__ __forceinline__ std::uint32_t to_tf32(float x) {
  std::uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

#else

// Each lane reads the row whose address it passes; then the warp deals the elements out.
template <bool Transposed = false, int Count>
void load_matrices(std::uint32_t (&to)[Count], const void* row,
                   simt::Location at = simt::Location::current()) {
  static_assert(Count == 1 || Count == 2 || Count == 4);
  std::uint16_t elements[8];
  if (simt::has_matrix_row(row, Count, at)) {
    std::memcpy(elements, row, sizeof elements);
  }
  simt::matrix_exchange(elements, Count, Transposed, to, at);
}

template <class T>
void multiply_16x8x16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                      simt::Location at = simt::Location::current()) {
  static_assert(std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>);
  simt::matrix_multiply(
      std::is_same_v<T, BFloat16> ? simt::Collective::mma_bf16 : simt::Collective::mma_f16, d, a, b,
      at);
}

inline void multiply_16x8x8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                 const std::uint32_t (&b)[2],
                                 simt::Location at = simt::Location::current()) {
  simt::matrix_multiply(simt::Collective::mma_tf32, d, a, b, at);
}

inline std::uint32_t pack_bfloat16(float low, float high) {
  return pack_halves(to_bfloat16(low).bits, to_bfloat16(high).bits);
}

inline std::uint32_t to_tf32(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return x != x ? bits : (bits + 0x1000u) & ~0x1FFFu;
}

#endif

}  // namespace basin::kernels

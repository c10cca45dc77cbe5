// What a matrix product demands of its arguments, wherever it runs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/gemm/gemm.h"

namespace basin::kernels {

inline Status check_gemm(const Gemm& p) {
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0) {
    return Status::invalid("gemm: negative extent");
  }
  // The libraries would print a complaint and leave C as it was.
  const bool writes = p.m > 0 && p.n > 0 && p.batch > 0;
  const bool reads = writes && p.k > 0;
  if ((writes && p.ldc < p.n) ||
      (reads && (p.lda < (p.transpose_a ? p.m : p.k) || p.ldb < (p.transpose_b ? p.k : p.n)))) {
    return Status::invalid("gemm: a row distance is smaller than the row");
  }
  constexpr std::int64_t limit = std::numeric_limits<std::int32_t>::max();
  if (std::max({p.m, p.n, p.k, p.lda, p.ldb, p.ldc}) > limit) {
    return Status::unsupported("gemm: an extent or row distance above 2^31 - 1");
  }
  if (p.variant < 0 || p.variant > 3) {
    return Status::invalid("gemm: variants are 0 to 3");
  }
  if (p.dtype != DType::f32 && p.dtype != DType::f64) {
    return Status::unsupported("arithmetic needs f32 or f64");
  }
  if (p.precision != Precision::f32 && p.dtype != DType::f32) {
    return Status::unsupported("gemm: factors in tf32 or bf16 come from f32");
  }
  return {};
}

}  // namespace basin::kernels

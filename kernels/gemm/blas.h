// The single-threaded OpenBLAS call, for use inside other kernels' chunks.
#pragma once

#include <cstdint>

namespace basin::kernels::blas {

/// Row-major C = alpha op(A) op(B) + beta C on the calling thread. OpenBLAS is pinned to one thread
/// (with more, the bits of its results change).
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
          float beta, float* c, std::int64_t ldc);
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          double alpha, const double* a, std::int64_t lda, const double* b, std::int64_t ldb,
          double beta, double* c, std::int64_t ldc);

}  // namespace basin::kernels::blas

// General matrix product C = alpha op(A) op(B) + beta C + bias, row-major, batched.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/precision.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// op(A) is m x k and op(B) is k x n; with transpose_a, A is stored k x m. ld* are element
/// distances between rows as stored, at least the length of such a row. With beta == 0, C is
/// written without being read (it may hold NaN). bias, unless null, has n elements and is added to
/// every row. For k == 0, C becomes beta C + bias. f32 or f64.
/// Variants: 0 best, 1 three loops, 2 OpenBLAS on tiles of C whose borders depend on the shape
/// only, 3 our own packed panels in vector instructions (variant 0, unless the machine has none of
/// AVX2 and AVX-512). With A as it is stored (no transpose_a) variant 3 computes an element of C in
/// the same order whatever m and n are, so a row has the same bits in a matrix of 1 row and of
/// 1000.
/// Variants on a GPU: 0 cuBLASLt (the executor takes the CPU's variant 0 instead), 1 a thread for
/// an element of C, 2 tiles in shared memory, 3 tiles in registers, of which the next is copied
/// while one is multiplied.
/// Factors in f32 are rounded to the bits of `precision` in copies at the front of the workspace,
/// which every variant then multiplies as it multiplies others. Variant 0 on a GPU has tensor cores
/// for them: bf16 copies are multiplied as such, and for tf32 there are no copies, for the card
/// itself leaves bits out (whether it rounds or cuts is not documented).
struct Gemm {
  const void* a;
  const void* b;
  void* c;
  std::int64_t m, n, k;
  std::int64_t lda, ldb, ldc;
  bool transpose_a = false;
  bool transpose_b = false;
  double alpha = 1.0;
  double beta = 0.0;
  std::int64_t batch = 1;
  std::int64_t a_batch_stride = 0, b_batch_stride = 0, c_batch_stride = 0;
  const void* bias = nullptr;
  void* workspace = nullptr;  ///< gemm_workspace() bytes, 64-byte aligned
  DType dtype = DType::f32;
  int variant = 0;
  Precision precision = Precision::f32;  ///< of the factors; f32 for dtype f64
};
std::int64_t gemm_workspace(const Gemm&, const CpuContext&);
std::int64_t gemm_workspace(const Gemm&, const SimtContext&);
std::int64_t gemm_workspace(const Gemm&, const CudaContext&);
Status gemm(const Gemm&, const CpuContext&);
Status gemm(const Gemm&, const SimtContext&);
Status gemm(const Gemm&, const CudaContext&);

}  // namespace basin::kernels

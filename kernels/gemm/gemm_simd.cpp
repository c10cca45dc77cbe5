// C is cut into blocks that fit the caches; for each, a slice of B is packed into panels that the
// inner loop reads from start to end, and slices of A are used in place (K. Goto and R. van de
// Geijn 2008 describe the blocking). What is cut where depends on the shape alone.
#include "kernels/gemm/gemm_simd.h"

#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/gemm_simd.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// A panel of B (kDepth x 32 f32 = 32 KiB) stays in the first-level cache while rows of A pass by; a
// packed slice (kDepth x kColumns) and a slice of A (kRows x kDepth) share the second level.
constexpr std::int64_t kDepth = 256;
constexpr std::int64_t kColumns = 256;
constexpr std::int64_t kRows = 192;

// One block of C: [row, row + rows) x [column, column + columns).
template <class T>
void block_of_c(const Gemm& p, std::int64_t batch, std::int64_t row, std::int64_t rows,
                std::int64_t column, std::int64_t columns, T* packed) {
  const T* a = static_cast<const T*>(p.a) + batch * p.a_batch_stride;
  const T* b = static_cast<const T*>(p.b) + batch * p.b_batch_stride;
  T* c = static_cast<T*>(p.c) + batch * p.c_batch_stride + row * p.ldc + column;
  const Left<T> left = Left<T>{a, p.transpose_a ? 1 : p.lda, p.transpose_a ? p.lda : 1}.at(row, 0);
  for (std::int64_t k = 0; k < p.k; k += kDepth) {
    const std::int64_t depth = std::min(kDepth, p.k - k);
    if (p.transpose_b) {
      pack_transposed(b + column * p.ldb + k, p.ldb, depth, columns, packed);
    } else {
      pack(b + k * p.ldb + column, p.ldb, depth, columns, packed);
    }
    const Update<T> update{static_cast<T>(p.alpha), k == 0 ? static_cast<T>(p.beta) : T(1)};
    for (std::int64_t r = 0; r < rows; r += kRows) {
      product(std::min(kRows, rows - r), columns, depth, left.at(r, k),
              Packed<T>::of(packed, depth), c + r * p.ldc, p.ldc, update);
    }
  }
}

template <class T>
void gemm_blocks(const Gemm& p, const CpuContext& context) {
  // Columns are cut first: a block of columns packs its part of B once for all its rows.
  const std::int64_t columns = std::min(p.n, kColumns);
  const std::int64_t column_blocks = (p.n + columns - 1) / columns;
  constexpr std::int64_t wanted_blocks = 8;
  constexpr std::int64_t fewest_rows = 128;
  std::int64_t rows = p.m;
  while (rows >= 2 * fewest_rows &&
         (p.m + rows - 1) / rows * column_blocks * p.batch < wanted_blocks) {
    rows = (rows / 2 + 11) / 12 * 12;
  }
  const std::int64_t row_blocks = (p.m + rows - 1) / rows;
  context.pool->run(p.batch * row_blocks * column_blocks, [&](std::int64_t chunk) {
    const std::int64_t batch = chunk / (row_blocks * column_blocks);
    const std::int64_t row = chunk / column_blocks % row_blocks * rows;
    const std::int64_t column = chunk % column_blocks * columns;
    T* packed = static_cast<T*>(p.workspace) +
                ThreadPool::thread_index() * packed_size<T>(std::min(p.k, kDepth), columns);
    block_of_c<T>(p, batch, row, std::min(rows, p.m - row), column, std::min(columns, p.n - column),
                  packed);
  });
}

void gemm_target(const Gemm& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    gemm_blocks<double>(p, context);
  } else {
    gemm_blocks<float>(p, context);
  }
}

std::int64_t workspace_target(const Gemm& p, const CpuContext& context) {
  const std::int64_t depth = std::min(p.k, kDepth);
  const std::int64_t columns = std::min(p.n, kColumns);
  const std::int64_t slice =
      p.dtype == DType::f64
          ? packed_size<double>(depth, columns) * static_cast<std::int64_t>(sizeof(double))
          : packed_size<float>(depth, columns) * static_cast<std::int64_t>(sizeof(float));
  return context.pool->threads() * slice;
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(gemm_target);
HWY_EXPORT(workspace_target);

void gemm_simd(const Gemm& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(gemm_target)(p, context);
}

std::int64_t gemm_simd_workspace(const Gemm& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

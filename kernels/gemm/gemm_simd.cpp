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
#include "kernels/simd/gelu-inl.h"
#include "kernels/simd/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// A panel of B (kDepth x 32 f32 = 32 KiB) stays in the first-level cache while rows of A pass by; a
// packed slice (kDepth x kColumns) and a slice of A (kRows x kDepth) share the second level.
constexpr std::int64_t kDepth = 256;
constexpr std::int64_t kColumns = 256;
constexpr std::int64_t kRows = 192;

// What is cut where. It depends on the shape alone.
struct Cuts {
  std::int64_t rows, columns;  // of a block of C
  std::int64_t row_blocks, column_blocks;
  std::int64_t parts;  // of the depth, each with a C of its own
  std::int64_t depth;  // of a part

  explicit Cuts(const Gemm& p) : rows(p.m), columns(std::min(p.n, kColumns)), parts(1) {
    constexpr std::int64_t wanted_blocks = 8;
    constexpr std::int64_t fewest_rows = 128;
    constexpr std::int64_t fewest_columns = 64;
    constexpr std::int64_t least_depth = 512;
    const auto blocks = [&] {
      return (p.m + rows - 1) / rows * ((p.n + columns - 1) / columns) * p.batch;
    };
    while (rows >= 2 * fewest_rows && blocks() < wanted_blocks) {
      rows = (rows / 2 + 11) / 12 * 12;
    }
    while (columns >= 2 * fewest_columns && blocks() < wanted_blocks) {
      columns = (columns / 2 + 31) / 32 * 32;
    }
    // The gradient of a weight is a small C and a long sum over tokens, and has A transposed. For
    // other products the order of a sum must not depend on how many rows there are.
    if (p.transpose_a) {
      parts = std::max<std::int64_t>(1, std::min(wanted_blocks / blocks(), p.k / least_depth));
    }
    depth = (p.k + parts - 1) / parts;
    row_blocks = (p.m + rows - 1) / rows;
    column_blocks = (p.n + columns - 1) / columns;
  }

  /// Elements of the parts of C beyond the first.
  std::int64_t partial(const Gemm& p) const { return (parts - 1) * p.batch * p.m * p.n; }
  template <class T>
  std::int64_t packed(const Gemm& p) const {
    return packed_size<T>(std::min(p.k, kDepth), columns);
  }
};

// A block [row, row + rows) x [column, column + columns) of op(A) op(B), summed over the depth from
// `begin` to `end`.
struct Block {
  std::int64_t batch, row, rows, column, columns, begin, end;
};

// y = gelu(c), both with rows `row` apart. Not inlined: the constants of the polynomials would take
// registers from the loop of the product.
template <class T>
HWY_NOINLINE void activate(const T* c, T* y, std::int64_t row, std::int64_t rows,
                           std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r) {
    gelu_row(c + r * row, y + r * row, columns);
  }
}

// y, unless null, lies like c and becomes gelu(c).
template <class T>
void multiply_block(const Gemm& p, const Block& block, T* c, std::int64_t c_row,
                    const Update<T>& first, T* packed, T* y = nullptr) {
  const T* a = static_cast<const T*>(p.a) + block.batch * p.a_batch_stride;
  const T* b = static_cast<const T*>(p.b) + block.batch * p.b_batch_stride;
  const Left<T> left =
      Left<T>{a, p.transpose_a ? 1 : p.lda, p.transpose_a ? p.lda : 1}.at(block.row, 0);
  for (std::int64_t k = block.begin; k < block.end; k += kDepth) {
    const std::int64_t depth = std::min(kDepth, block.end - k);
    if (p.transpose_b) {
      pack_transposed(b + block.column * p.ldb + k, p.ldb, depth, block.columns, packed);
    } else {
      pack(b + k * p.ldb + block.column, p.ldb, depth, block.columns, packed);
    }
    const Update<T> update =
        k == block.begin ? first : Update<T>{static_cast<T>(p.alpha), T(1), nullptr};
    for (std::int64_t r = 0; r < block.rows; r += kRows) {
      const std::int64_t rows = std::min(kRows, block.rows - r);
      product(rows, block.columns, depth, left.at(r, k), Packed<T>::of(packed, depth),
              c + r * c_row, c_row, update);
      if (y != nullptr && k + depth == block.end) {
        activate(c + r * c_row, y + r * c_row, c_row, rows, block.columns);
      }
    }
  }
}

template <class T>
void gemm_blocks(const Gemm& p, T* y, const CpuContext& context) {
  const Cuts cuts(p);
  T* partial = static_cast<T*>(p.workspace);
  T* scratch = partial + cuts.partial(p);
  const std::int64_t blocks = cuts.row_blocks * cuts.column_blocks;
  context.pool->run(p.batch * cuts.parts * blocks, [&](std::int64_t chunk) {
    Block block{};
    block.batch = chunk / (cuts.parts * blocks);
    const std::int64_t part = chunk / blocks % cuts.parts;
    block.row = chunk / cuts.column_blocks % cuts.row_blocks * cuts.rows;
    block.rows = std::min(cuts.rows, p.m - block.row);
    block.column = chunk % cuts.column_blocks * cuts.columns;
    block.columns = std::min(cuts.columns, p.n - block.column);
    block.begin = part * cuts.depth;
    block.end = std::min(p.k, block.begin + cuts.depth);
    T* packed = scratch + ThreadPool::thread_index() * cuts.packed<T>(p);
    if (part == 0) {
      const T* bias = static_cast<const T*>(p.bias);
      const std::int64_t at = block.batch * p.c_batch_stride + block.row * p.ldc + block.column;
      multiply_block(p, block, static_cast<T*>(p.c) + at, p.ldc,
                     Update<T>{static_cast<T>(p.alpha), static_cast<T>(p.beta),
                               bias == nullptr ? nullptr : bias + block.column},
                     packed, y == nullptr ? nullptr : y + at);
    } else {
      T* c = partial + ((part - 1) * p.batch + block.batch) * p.m * p.n;
      multiply_block(p, block, c + block.row * p.n + block.column, p.n,
                     Update<T>{static_cast<T>(p.alpha), T(0), nullptr}, packed);
    }
  });
  if (cuts.parts == 1) {
    return;
  }
  for_ranges(context, p.batch * p.m, std::max<std::int64_t>(1, 4096 / p.n),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) {
                 T* c = static_cast<T*>(p.c) + row / p.m * p.c_batch_stride + row % p.m * p.ldc;
                 for (std::int64_t part = 1; part < cuts.parts; ++part) {
                   const T* more = partial + ((part - 1) * p.batch * p.m + row) * p.n;
                   for (std::int64_t n = 0; n < p.n; ++n) {
                     c[n] += more[n];
                   }
                 }
               }
             });
}

void gemm_target(const Gemm& p, void* y, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    gemm_blocks<double>(p, static_cast<double*>(y), context);
  } else {
    gemm_blocks<float>(p, static_cast<float*>(y), context);
  }
}

std::int64_t workspace_target(const Gemm& p, const CpuContext& context) {
  const Cuts cuts(p);
  const std::int64_t packed =
      p.dtype == DType::f64 ? cuts.packed<double>(p) : cuts.packed<float>(p);
  return (cuts.partial(p) + context.pool->threads() * packed) *
         static_cast<std::int64_t>(size_of(p.dtype));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(gemm_target);
HWY_EXPORT(workspace_target);

void gemm_simd(const Gemm& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(gemm_target)(p, nullptr, context);
}

void gemm_simd_gelu(const Gemm& p, void* y, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(gemm_target)(p, y, context);
}

std::int64_t gemm_simd_workspace(const Gemm& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

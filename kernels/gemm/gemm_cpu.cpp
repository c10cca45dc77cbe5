#include <algorithm>

#include "kernels/common/dispatch.h"
#include "kernels/gemm/blas.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_check.h"
#include "kernels/gemm/gemm_simd.h"
#include "kernels/gemm/rounded_product.h"
#include "kernels/simd/isa.h"

namespace basin::kernels {

namespace {

struct Tiling {
  std::int64_t rows;
  std::int64_t columns;
};

// Halves the larger side until there is work for a handful of threads or the tiles get too small
// to be efficient. Depends on the shape alone: that is what keeps the bits independent of the
// number of threads.
Tiling tiling_for(const Gemm& p) {
  Tiling tile{std::max<std::int64_t>(p.m, 1), std::max<std::int64_t>(p.n, 1)};
  const auto tiles = [&] {
    return ((p.m + tile.rows - 1) / tile.rows) * ((p.n + tile.columns - 1) / tile.columns) *
           p.batch;
  };
  constexpr std::int64_t wanted_tiles = 16;
  constexpr std::int64_t smallest_tile_flops = 1 << 20;
  while (tiles() < wanted_tiles && tile.rows * tile.columns * p.k > smallest_tile_flops) {
    if (tile.rows >= tile.columns && tile.rows > 32) {
      tile.rows = (tile.rows / 2 + 15) / 16 * 16;
    } else if (tile.columns > 32) {
      tile.columns = (tile.columns / 2 + 15) / 16 * 16;
    } else {
      break;
    }
  }
  return tile;
}

template <class T>
void gemm_tiles(const Gemm& p, const CpuContext& context) {
  const Tiling tile = tiling_for(p);
  const std::int64_t row_tiles = (p.m + tile.rows - 1) / tile.rows;
  const std::int64_t column_tiles = (p.n + tile.columns - 1) / tile.columns;
  context.pool->run(p.batch * row_tiles * column_tiles, [&](std::int64_t chunk) {
    const std::int64_t batch = chunk / (row_tiles * column_tiles);
    const std::int64_t row = chunk / column_tiles % row_tiles * tile.rows;
    const std::int64_t column = chunk % column_tiles * tile.columns;
    const T* a =
        static_cast<const T*>(p.a) + batch * p.a_batch_stride + (p.transpose_a ? row : row * p.lda);
    const T* b = static_cast<const T*>(p.b) + batch * p.b_batch_stride +
                 (p.transpose_b ? column * p.ldb : column);
    T* c = static_cast<T*>(p.c) + batch * p.c_batch_stride + row * p.ldc + column;
    const std::int64_t rows = std::min(tile.rows, p.m - row);
    const std::int64_t columns = std::min(tile.columns, p.n - column);
    blas::gemm(p.transpose_a, p.transpose_b, rows, columns, p.k, static_cast<T>(p.alpha), a, p.lda,
               b, p.ldb, static_cast<T>(p.beta), c, p.ldc);
    for (std::int64_t r = 0; p.bias != nullptr && r < rows; ++r) {
      for (std::int64_t n = 0; n < columns; ++n) {
        c[r * p.ldc + n] += static_cast<const T*>(p.bias)[column + n];
      }
    }
  });
}

// The definition, one output element at a time: variant 1, and what happens for k == 0.
template <class T>
void gemm_loops(const Gemm& p, const CpuContext& context) {
  for_ranges(context, p.batch * p.m, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t batch = at / p.m;
      const std::int64_t i = at % p.m;
      const T* a = static_cast<const T*>(p.a) + batch * p.a_batch_stride;
      const T* b = static_cast<const T*>(p.b) + batch * p.b_batch_stride;
      T* c = static_cast<T*>(p.c) + batch * p.c_batch_stride + i * p.ldc;
      for (std::int64_t j = 0; j < p.n; ++j) {
        T sum = 0;
        for (std::int64_t l = 0; l < p.k; ++l) {
          sum += (p.transpose_a ? a[l * p.lda + i] : a[i * p.lda + l]) *
                 (p.transpose_b ? b[j * p.ldb + l] : b[l * p.ldb + j]);
        }
        const T old = p.beta == 0.0 ? T(0) : static_cast<T>(p.beta) * c[j];
        const T more = p.bias == nullptr ? T(0) : static_cast<const T*>(p.bias)[j];
        c[j] = static_cast<T>(p.alpha) * sum + old + more;
      }
    }
  });
}

// Without vector instructions of ours, OpenBLAS still has its own.
int variant_of(const Gemm& p) {
  return p.variant != 0 ? p.variant : (isa() == Isa::baseline ? 2 : 3);
}

}  // namespace

std::int64_t gemm_workspace(const Gemm& p, const CpuContext& context) {
  if (rounds_factors(p)) {
    const RoundedProduct rounded(p);
    return rounded.bytes() + gemm_workspace(rounded.product(), context);
  }
  return variant_of(p) == 3 && p.k > 0 ? gemm_simd_workspace(p, context) : 0;
}

Status gemm(const Gemm& p, const CpuContext& context) {
  if (const Status status = check_gemm(p); !status.ok()) {
    return status;
  }
  if (rounds_factors(p)) {
    const RoundedProduct rounded(p);
    const Status status = rounded.round(context);
    return status.ok() ? gemm(rounded.product(), context) : status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.m == 0 || p.n == 0 || p.batch == 0) {
      return Status{};
    }
    if (p.variant == 1 || p.k == 0) {
      gemm_loops<T>(p, context);
    } else if (variant_of(p) == 3) {
      if (p.workspace == nullptr) {
        return Status::invalid("gemm: the workspace is missing");
      }
      gemm_simd(p, context);
    } else {
      gemm_tiles<T>(p, context);
    }
    return Status{};
  });
}

}  // namespace basin::kernels

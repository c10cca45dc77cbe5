// The matrix product on a GPU, in three steps from the definition to tiles in registers. A product
// of two numbers costs a hundredth of fetching them from memory, so each step is about how many
// products a fetched number takes part in: 1, then 16, then 64 to 128, where the arithmetic is what
// a multiprocessor waits for.
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/pack.cuh"
#include "kernels/common/ptx.cuh"
#include "kernels/gemm/gemm_ladder.h"

namespace basin::kernels {

namespace {

// The same problem with the stored order of A and B turned into distances: op(A)[i, l] is
// a[i a_row + l a_column].
template <class T>
struct Product {
  const T* a;
  const T* b;
  T* c;
  const T* bias;
  std::int64_t m, n, k;
  std::int64_t a_row, a_column, b_row, b_column, ldc;
  std::int64_t a_batch, b_batch, c_batch, batch;
  T alpha, beta;

  explicit Product(const Gemm& p)
      : a(static_cast<const T*>(p.a)),
        b(static_cast<const T*>(p.b)),
        c(static_cast<T*>(p.c)),
        bias(static_cast<const T*>(p.bias)),
        m(p.m),
        n(p.n),
        k(p.k),
        a_row(p.transpose_a ? 1 : p.lda),
        a_column(p.transpose_a ? p.lda : 1),
        b_row(p.transpose_b ? 1 : p.ldb),
        b_column(p.transpose_b ? p.ldb : 1),
        ldc(p.ldc),
        a_batch(p.a_batch_stride),
        b_batch(p.b_batch_stride),
        c_batch(p.c_batch_stride),
        batch(p.batch),
        alpha(static_cast<T>(p.alpha)),
        beta(static_cast<T>(p.beta)) {}

  BASIN_DEVICE void store(std::int64_t item, std::int64_t i, std::int64_t j, T sum) const {
    if (i >= m || j >= n) {
      return;
    }
    T* const to = c + item * c_batch + i * ldc + j;
    const T old = beta == T(0) ? T(0) : beta * *to;
    *to = alpha * sum + old + (bias == nullptr ? T(0) : bias[j]);
  }

  // The same for four neighbours from column j on. One by one, each of the four stores of a warp
  // would touch every sector that they share.
  BASIN_DEVICE void store_four(std::int64_t item, std::int64_t i, std::int64_t j,
                               const T* sums) const {
    constexpr int kWidth = pack_width(sizeof(T));
    T* const to = c + item * c_batch + i * ldc + j;
    if (i >= m || j + 4 > n || !all_at_packs<kWidth>(to)) {
      BASIN_UNROLL
      for (int e = 0; e < 4; ++e) {
        store(item, i, j + e, sums[e]);
      }
      return;
    }
    BASIN_UNROLL
    for (int first = 0; first < 4; first += kWidth) {
      Pack<T, kWidth> values{};
      if (beta != T(0)) {
        values = load_pack<kWidth>(to + first);
      }
      BASIN_UNROLL
      for (int e = 0; e < kWidth; ++e) {
        const T old = beta == T(0) ? T(0) : beta * values.at[e];
        values.at[e] =
            alpha * sums[first + e] + old + (bias == nullptr ? T(0) : bias[j + first + e]);
      }
      store_pack<kWidth>(to + first, values);
    }
  }
};

// A grid has a block for each Rows x Columns piece of C along x and a row of them for each item.
struct Place {
  std::int64_t row;
  std::int64_t column;
};
template <int Rows, int Columns>
BASIN_DEVICE Place place_of_block(std::int64_t n) {
  const std::int64_t across = pieces_of(n, Columns);
  return {blockIdx.x / across * Rows, blockIdx.x % across * Columns};
}

constexpr int kTile = 16;

template <class T>
BASIN_KERNEL void one_element(Product<T> p) {
  const Place place = place_of_block<kTile, kTile>(p.n);
  const std::int64_t i = place.row + threadIdx.y;
  const std::int64_t j = place.column + threadIdx.x;
  if (i >= p.m || j >= p.n) {
    return;
  }
  for (std::int64_t item = blockIdx.y; item < p.batch; item += gridDim.y) {
    const T* const a = p.a + item * p.a_batch + i * p.a_row;
    const T* const b = p.b + item * p.b_batch + j * p.b_column;
    T sum = 0;
    for (std::int64_t l = 0; l < p.k; ++l) {
      sum += a[l * p.a_column] * b[l * p.b_row];
    }
    p.store(item, i, j, sum);
  }
}

struct TagA;
struct TagB;

template <class T>
BASIN_KERNEL void shared_tiles(Product<T> p) {
  constexpr int kRow = kTile + 1;  // a column lies in 16 banks, not in one
  T* const a_tile = shared<T, kTile * kRow, TagA>();
  T* const b_tile = shared<T, kTile * kRow, TagB>();
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  const Place place = place_of_block<kTile, kTile>(p.n);
  // Neighbouring threads read neighbouring numbers, whichever way round a matrix is stored.
  const int a_i = p.a_column == 1 ? y : x;
  const int a_l = p.a_column == 1 ? x : y;
  const int b_l = p.b_column == 1 ? y : x;
  const int b_j = p.b_column == 1 ? x : y;
  for (std::int64_t item = blockIdx.y; item < p.batch; item += gridDim.y) {
    const T* const a = p.a + item * p.a_batch;
    const T* const b = p.b + item * p.b_batch;
    T sum = 0;
    for (std::int64_t first = 0; first < p.k; first += kTile) {
      const std::int64_t i = place.row + a_i;
      const std::int64_t j = place.column + b_j;
      a_tile[a_i * kRow + a_l] =
          i < p.m && first + a_l < p.k ? a[i * p.a_row + (first + a_l) * p.a_column] : T(0);
      b_tile[b_l * kRow + b_j] =
          j < p.n && first + b_l < p.k ? b[(first + b_l) * p.b_row + j * p.b_column] : T(0);
      __syncthreads();
      BASIN_UNROLL
      for (int l = 0; l < kTile; ++l) {
        sum += a_tile[y * kRow + l] * b_tile[l * kRow + x];
      }
      __syncthreads();
    }
    p.store(item, place.row + y, place.column + x, sum);
  }
}

// 256 threads have kSide x kSide of C, in Quads x Quads squares of 4 x 4 for each: 64 sums of f32
// or 16 of f64, which is what fits into registers.
template <class T>
struct Registers {
  static constexpr int kQuads = sizeof(T) == 4 ? 2 : 1;
  static constexpr int kSide = 64 * kQuads;
  static constexpr int kDepth = 8;
  static constexpr int kRow = kSide + 4;
  static constexpr int kThreads = 256;
};

// Four neighbours in shared memory, at a multiple of a pack.
template <class T>
BASIN_DEVICE void read_four(const T* from, T* numbers) {
  constexpr int kWidth = pack_width(sizeof(T));
  BASIN_UNROLL
  for (int first = 0; first < 4; first += kWidth) {
    const Pack<T, kWidth> values = load_pack<kWidth>(from + first);
    BASIN_UNROLL
    for (int e = 0; e < kWidth; ++e) {
      numbers[first + e] = values.at[e];
    }
  }
}

// Issues the copies of the kDepth x kSide piece at (first, start) of a matrix whose element (l, s)
// is from[l by_l + s by_s]; beyond the matrix there are zeros.
template <class T>
BASIN_DEVICE void copy_piece(T* tile, const T* from, std::int64_t first, std::int64_t k,
                             std::int64_t start, std::int64_t side, std::int64_t by_l,
                             std::int64_t by_s) {
  using Sizes = Registers<T>;
  BASIN_UNROLL
  for (int round = 0; round < Sizes::kDepth * Sizes::kSide / Sizes::kThreads; ++round) {
    const int at = round * Sizes::kThreads + static_cast<int>(threadIdx.x);
    const int l = by_l == 1 ? at % Sizes::kDepth : at / Sizes::kSide;
    const int s = by_l == 1 ? at / Sizes::kDepth : at % Sizes::kSide;
    const bool inside = first + l < k && start + s < side;
    const T* const source = inside ? from + (first + l) * by_l + (start + s) * by_s : from;
    copy_async<sizeof(T)>(tile + l * Sizes::kRow + s, source,
                          inside ? static_cast<int>(sizeof(T)) : 0);
  }
}

template <class T>
BASIN_KERNEL void BASIN_AT_MOST(256) register_tiles(Product<T> p) {
  using Sizes = Registers<T>;
  constexpr int kPiece = Sizes::kDepth * Sizes::kRow;
  T* const a_tiles = shared<T, 2 * kPiece, TagA>();
  T* const b_tiles = shared<T, 2 * kPiece, TagB>();
  const Place place = place_of_block<Sizes::kSide, Sizes::kSide>(p.n);
  const int x = static_cast<int>(threadIdx.x) % 16 * 4;
  const int y = static_cast<int>(threadIdx.x) / 16 * 4;
  for (std::int64_t item = blockIdx.y; item < p.batch; item += gridDim.y) {
    const T* const a = p.a + item * p.a_batch;
    const T* const b = p.b + item * p.b_batch;
    const auto copy = [&](std::int64_t first, int buffer) {
      copy_piece(a_tiles + buffer * kPiece, a, first, p.k, place.row, p.m, p.a_column, p.a_row);
      copy_piece(b_tiles + buffer * kPiece, b, first, p.k, place.column, p.n, p.b_row, p.b_column);
      copy_async_commit();
    };
    T sums[4 * Sizes::kQuads][4 * Sizes::kQuads] = {};
    int buffer = 0;
    copy(0, buffer);
    for (std::int64_t first = 0; first < p.k; first += Sizes::kDepth) {
      copy_async_wait<0>();
      __syncthreads();  // this piece is there, and nobody reads the one before any more
      if (first + Sizes::kDepth < p.k) {
        copy(first + Sizes::kDepth, 1 - buffer);
      }
      const T* const a_tile = a_tiles + buffer * kPiece;
      const T* const b_tile = b_tiles + buffer * kPiece;
      BASIN_UNROLL
      for (int l = 0; l < Sizes::kDepth; ++l) {
        T left[4 * Sizes::kQuads];
        T right[4 * Sizes::kQuads];
        BASIN_UNROLL
        for (int q = 0; q < Sizes::kQuads; ++q) {
          read_four(a_tile + l * Sizes::kRow + q * 64 + y, left + 4 * q);
          read_four(b_tile + l * Sizes::kRow + q * 64 + x, right + 4 * q);
        }
        BASIN_UNROLL
        for (int r = 0; r < 4 * Sizes::kQuads; ++r) {
          BASIN_UNROLL
          for (int c = 0; c < 4 * Sizes::kQuads; ++c) {
            sums[r][c] += left[r] * right[c];
          }
        }
      }
      buffer = 1 - buffer;
    }
    copy_async_wait<0>();
    __syncthreads();  // before the next item's first piece
    BASIN_UNROLL
    for (int r = 0; r < 4 * Sizes::kQuads; ++r) {
      BASIN_UNROLL
      for (int q = 0; q < Sizes::kQuads; ++q) {
        p.store_four(item, place.row + r / 4 * 64 + y + r % 4, place.column + q * 64 + x,
                     &sums[r][4 * q]);
      }
    }
  }
}

template <class T>
BASIN_KERNEL void add_bias(Product<T> p) {
  const std::int64_t count = p.batch * p.m * p.n;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < count;
       at += step) {
    const std::int64_t row = at / p.n;
    p.c[row / p.m * p.c_batch + row % p.m * p.ldc + at % p.n] += p.bias[at % p.n];
  }
}

LaunchShape shape_of(const char* name, const Gemm& p, int side, Index3 threads) {
  constexpr std::int64_t kMostItems = 65535;  // of a grid along y
  const std::int64_t pieces = pieces_of(p.m, side) * pieces_of(p.n, side);
  return {name,
          {static_cast<unsigned>(pieces),
           static_cast<unsigned>(p.batch < kMostItems ? p.batch : kMostItems), 1},
          threads};
}

}  // namespace

Status gemm_ladder(const Gemm& p, const DeviceContext& context) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) {
    return {};
  }
  if (pieces_of(p.m, kTile) * pieces_of(p.n, kTile) > 0x7FFFFFFF) {
    return Status::unsupported("gemm: C has more pieces than a grid has blocks");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const Product<T> product(p);
    switch (p.variant) {
      case 1:
        return launch(shape_of("gemm_one_element", p, kTile, {kTile, kTile, 1}), context,
                      one_element<T>, product);
      case 2:
        return launch(shape_of("gemm_shared_tiles", p, kTile, {kTile, kTile, 1}), context,
                      shared_tiles<T>, product);
      default:
        return launch(
            shape_of("gemm_register_tiles", p, Registers<T>::kSide, {Registers<T>::kThreads, 1, 1}),
            context, register_tiles<T>, product);
    }
  });
}

Status gemm_add_bias(const Gemm& p, const DeviceContext& context) {
  const std::int64_t count = p.batch * p.m * p.n;
  if (count == 0 || p.bias == nullptr) {
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch({"gemm_add_bias", {blocks_for(count, 256), 1, 1}, {256, 1, 1}}, context,
                  add_bias<T>, Product<T>(p));
  });
}

}  // namespace basin::kernels

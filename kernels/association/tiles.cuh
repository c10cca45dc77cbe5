// Products of small matrices in shared memory by a block of 128 threads, the part that the
// attention kernels share. The threads stand in 8 rows of 16: thread (x, y) has the rows y, y + 8,
// ... of a result; of its columns either x, x + 16, ... (one sum a column) or runs of neighbours,
// which it reads with one instruction.
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/device.h"
#include "kernels/common/ptx.cuh"

namespace basin::kernels {

namespace {

constexpr int kTileThreads = 128;
constexpr int kAcross = 16;  // threads along x
constexpr int kDown = 8;     // and along y

BASIN_DEVICE inline int tile_x() { return static_cast<int>(threadIdx.x) % kAcross; }
BASIN_DEVICE inline int tile_y() { return static_cast<int>(threadIdx.x) / kAcross; }

/// N numbers that are read or written at once.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T v[N];
};

template <int N, class T>
BASIN_DEVICE inline const Pack<T, N>& pack_at(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}

/// Numbers from one row of a tile to the next: 16 bytes more than it has, so that 16-byte reads
/// down a column meet all banks.
template <class T, int kWidth>
constexpr int kRowOf = kWidth + 16 / static_cast<int>(sizeof(T));

/// Neighbouring columns that a thread has of a result kWidth wide, and how many such runs.
template <int kWidth>
constexpr int kRun = kWidth / kAcross < 4 ? kWidth / kAcross : 4;
template <int kWidth>
constexpr int kRuns = kWidth / kAcross / kRun<kWidth>;

/// The column of sums[.][at], for a result kWidth wide.
template <int kWidth>
BASIN_DEVICE inline int column_of(int at) {
  constexpr int run = kRun<kWidth>;
  return at / run * (kAcross * run) + tile_x() * run + at % run;
}

/// Whether rows of the view can be copied 16 bytes at a time.
inline bool copies_wide(const HeadView& view, std::size_t size) {
  const auto fits = [&](std::int64_t stride) {
    return stride * static_cast<std::int64_t>(size) % 16 == 0;
  };
  return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && fits(view.batch_stride) &&
         fits(view.head_stride) && fits(view.row_stride);
}

/// Rows begin, begin + 1, ... of `from` into a tile of kRows rows, with zeros behind `width` and
/// from row `end` on, which is not read. With `wide` they come in the background: commit and wait.
template <int kRows, int kWidth, class T>
BASIN_DEVICE void load_tile(T* tile, const T* from, std::int64_t row_stride, std::int64_t begin,
                            std::int64_t end, int width, bool wide) {
  const int thread = static_cast<int>(threadIdx.x);
  if (wide) {
    constexpr int kChunk = 16 / static_cast<int>(sizeof(T));
    constexpr int kChunks = kWidth / kChunk;
    for (int at = thread; at < kRows * kChunks; at += kTileThreads) {
      const int row = at / kChunks;
      const int column = at % kChunks * kChunk;
      int valid = begin + row < end ? width - column : 0;
      valid = valid < 0 ? 0 : (valid > kChunk ? kChunk : valid);
      const T* const source = valid > 0 ? from + (begin + row) * row_stride + column : from;
      copy_async<16>(tile + row * kRowOf<T, kWidth> + column, source,
                     valid * static_cast<int>(sizeof(T)));
    }
    return;
  }
  for (int at = thread; at < kRows * kWidth; at += kTileThreads) {
    const int row = at / kWidth;
    const int column = at % kWidth;
    const bool there = begin + row < end && column < width;
    tile[row * kRowOf<T, kWidth> + column] =
        there ? from[(begin + row) * row_stride + column] : T{};
  }
}

/// sums[r][c] += rows[y + 8 r] . columns[x + 16 c], over the kWidth numbers of a row.
template <int kWidth, class T, int kR, int kC>
BASIN_DEVICE void inner_products(const T* rows, const T* columns, T (&sums)[kR][kC]) {
  constexpr int kStep = 4;
  constexpr int row = kRowOf<T, kWidth>;
  const T* const left = rows + tile_y() * row;
  const T* const right = columns + tile_x() * row;
  for (int d = 0; d < kWidth; d += kStep) {
    Pack<T, kStep> a[kR];
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      a[r] = pack_at<kStep>(left + r * kDown * row + d);
    }
    BASIN_UNROLL
    for (int c = 0; c < kC; ++c) {
      const Pack<T, kStep> b = pack_at<kStep>(right + c * kAcross * row + d);
      BASIN_UNROLL
      for (int r = 0; r < kR; ++r) {
        BASIN_UNROLL
        for (int i = 0; i < kStep; ++i) {
          sums[r][c] += a[r].v[i] * b.v[i];
        }
      }
    }
  }
}

// Which weights take no part in a product at all, so that what they would multiply may be NaN.
struct NoneHidden {
  template <class T>
  BASIN_DEVICE static bool hides(T) {
    return false;
  }
};
struct NegativeHidden {
  template <class T>
  BASIN_DEVICE static bool hides(T weight) {
    return weight < T(0);
  }
};
struct ZeroHidden {
  template <class T>
  BASIN_DEVICE static bool hides(T weight) {
    return weight == T(0);
  }
};

/// sums[r][at] += sum over j < kInner of weights[y + 8 r][j] values[j][column_of(at)]; a row of
/// `weights` has kInner numbers, one of `values` kWidth.
template <class Hidden, int kInner, int kWidth, class T, int kR, int kC>
BASIN_DEVICE void add_product(const T* weights, const T* values, T (&sums)[kR][kC]) {
  static_assert(kC == kWidth / kAcross);
  constexpr int kStep = 4;
  constexpr int run = kRun<kWidth>;
  const T* const left = weights + tile_y() * kRowOf<T, kInner>;
  const T* const right = values + tile_x() * run;
  for (int first = 0; first < kInner; first += kStep) {
    Pack<T, kStep> a[kR];
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      a[r] = pack_at<kStep>(left + r * kDown * kRowOf<T, kInner> + first);
    }
    BASIN_UNROLL
    for (int i = 0; i < kStep; ++i) {
      BASIN_UNROLL
      for (int g = 0; g < kRuns<kWidth>; ++g) {
        const Pack<T, run> b =
            pack_at<run>(right + (first + i) * kRowOf<T, kWidth> + g * kAcross * run);
        BASIN_UNROLL
        for (int r = 0; r < kR; ++r) {
          BASIN_UNROLL
          for (int c = 0; c < run; ++c) {
            T& sum = sums[r][g * run + c];
            sum = Hidden::hides(a[r].v[i]) ? sum : sum + a[r].v[i] * b.v[c];
          }
        }
      }
    }
  }
}

/// The sum or maximum over the 16 threads that share rows, for each of them.
template <class Op, class T>
BASIN_DEVICE T over_row(T value) {
  for (int distance = kAcross / 2; distance > 0; distance /= 2) {
    value = Op::of(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

}  // namespace

}  // namespace basin::kernels

// Products of small matrices in shared memory by a block of 128 threads, the part that the
// attention kernels share. The threads stand in 8 rows of 16: thread (x, y) has the rows y, y + 8,
// ... of a result; of its columns either x, x + 16, ... (one sum a column) or runs of neighbours,
// which it reads with one instruction.
#pragma once

#include <concepts>
#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/device.h"
#include "kernels/common/half.h"
#include "kernels/common/pack.cuh"
#include "kernels/common/ptx.cuh"

namespace basin::kernels {

namespace {

constexpr int kTileThreads = 128;
constexpr int kAcross = 16;  // threads along x
constexpr int kDown = 8;     // and along y

BASIN_DEVICE inline int tile_x() { return static_cast<int>(threadIdx.x) % kAcross; }
BASIN_DEVICE inline int tile_y() { return static_cast<int>(threadIdx.x) / kAcross; }

/// What a sum is rounded to where it is stored: itself or bf16.
template <class Out, class T>
BASIN_DEVICE inline Out stored_as(T number) {
  if constexpr (std::same_as<Out, BFloat16>) {
    return to_bfloat16(number);
  } else {
    return number;
  }
}

// A run of N neighbours moves by packs of at most 16 bytes.
template <class T, int N>
constexpr int kPackOfRun = N < pack_width(sizeof(T)) ? N : pack_width(sizeof(T));

/// from[0 ... N - 1], which lie at a multiple of a pack.
template <int N, class T>
BASIN_DEVICE inline void read_run(const T* from, T (&numbers)[N]) {
  constexpr int kWidth = kPackOfRun<T, N>;
  BASIN_UNROLL
  for (int first = 0; first < N; first += kWidth) {
    const Pack<T, kWidth> values = load_pack<kWidth>(from + first);
    BASIN_UNROLL
    for (int e = 0; e < kWidth; ++e) {
      numbers[first + e] = values.at[e];
    }
  }
}

// Of the next two, the first `there` of the N numbers exist. By packs where all do and lie so: one
// by one, each of the N accesses of a warp would touch every sector that they share.
template <int N, class T>
BASIN_DEVICE void load_run(const T* from, std::int64_t there, T (&numbers)[N]) {
  if (there >= N && all_at_packs<kPackOfRun<T, N>>(from)) {
    read_run(from, numbers);
    return;
  }
  BASIN_UNROLL
  for (int e = 0; e < N; ++e) {
    numbers[e] = e < there ? from[e] : T(0);
  }
}

template <int N, class T>
BASIN_DEVICE void store_run(T* to, std::int64_t there, const T (&numbers)[N]) {
  constexpr int kWidth = kPackOfRun<T, N>;
  if (there >= N && all_at_packs<kWidth>(to)) {
    BASIN_UNROLL
    for (int first = 0; first < N; first += kWidth) {
      Pack<T, kWidth> values;
      BASIN_UNROLL
      for (int e = 0; e < kWidth; ++e) {
        values.at[e] = numbers[first + e];
      }
      store_pack<kWidth>(to + first, values);
    }
    return;
  }
  BASIN_UNROLL
  for (int e = 0; e < N; ++e) {
    if (e < there) {
      to[e] = numbers[e];
    }
  }
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

/// Row `number_of(n)` of `from` into row n of a tile of kRows rows, with zeros behind `width` and
/// where the number is below 0. With `wide` they come in the background: commit and wait.
template <int kRows, int kWidth, class T, class F>
BASIN_DEVICE void load_rows(T* tile, const T* from, std::int64_t row_stride, F&& number_of,
                            int width, bool wide) {
  const int thread = static_cast<int>(threadIdx.x);
  if (wide) {
    constexpr int kChunk = 16 / static_cast<int>(sizeof(T));
    constexpr int kChunks = kWidth / kChunk;
    for (int at = thread; at < kRows * kChunks; at += kTileThreads) {
      const int row = at / kChunks;
      const int column = at % kChunks * kChunk;
      const std::int64_t number = number_of(row);
      int valid = number < 0 ? 0 : width - column;
      valid = valid < 0 ? 0 : (valid > kChunk ? kChunk : valid);
      const T* const source = valid > 0 ? from + number * row_stride + column : from;
      copy_async<16>(tile + row * kRowOf<T, kWidth> + column, source,
                     valid * static_cast<int>(sizeof(T)));
    }
    return;
  }
  for (int at = thread; at < kRows * kWidth; at += kTileThreads) {
    const int row = at / kWidth;
    const int column = at % kWidth;
    const std::int64_t number = number_of(row);
    const bool there = number >= 0 && column < width;
    tile[row * kRowOf<T, kWidth> + column] = there ? from[number * row_stride + column] : T{};
  }
}

/// The same for rows begin, begin + 1, ..., of which those from `end` on are not read.
template <int kRows, int kWidth, class T>
BASIN_DEVICE void load_tile(T* tile, const T* from, std::int64_t row_stride, std::int64_t begin,
                            std::int64_t end, int width, bool wide) {
  load_rows<kRows, kWidth>(
      tile, from, row_stride,
      [&](int row) { return begin + row < end ? begin + row : std::int64_t{-1}; }, width, wide);
}

/// sums[r][c] += rows[y + 8 r] . columns[x + 16 c], over the kWidth numbers of a row.
template <int kWidth, class T, int kR, int kC>
BASIN_DEVICE void inner_products(const T* rows, const T* columns, T (&sums)[kR][kC]) {
  constexpr int kStep = 4;
  constexpr int row = kRowOf<T, kWidth>;
  const T* const left = rows + tile_y() * row;
  const T* const right = columns + tile_x() * row;
  for (int d = 0; d < kWidth; d += kStep) {
    T a[kR][kStep];
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      read_run(left + r * kDown * row + d, a[r]);
    }
    BASIN_UNROLL
    for (int c = 0; c < kC; ++c) {
      T b[kStep];
      read_run(right + c * kAcross * row + d, b);
      BASIN_UNROLL
      for (int r = 0; r < kR; ++r) {
        BASIN_UNROLL
        for (int i = 0; i < kStep; ++i) {
          sums[r][c] += a[r][i] * b[i];
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
    T a[kR][kStep];
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      read_run(left + r * kDown * kRowOf<T, kInner> + first, a[r]);
    }
    BASIN_UNROLL
    for (int i = 0; i < kStep; ++i) {
      BASIN_UNROLL
      for (int g = 0; g < kRuns<kWidth>; ++g) {
        T b[run];
        read_run(right + (first + i) * kRowOf<T, kWidth> + g * kAcross * run, b);
        BASIN_UNROLL
        for (int r = 0; r < kR; ++r) {
          BASIN_UNROLL
          for (int c = 0; c < run; ++c) {
            T& sum = sums[r][g * run + c];
            sum = Hidden::hides(a[r][i]) ? sum : sum + a[r][i] * b[c];
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

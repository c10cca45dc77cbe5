// Walking several strided arrays of the same extents on a GPU. Threads along x take the elements of
// a row, in packs where memory allows; threads along y take rows, and a thread divides once a row
// to find where its rows begin.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/pack.cuh"
#include "kernels/elementwise/strided.h"

namespace basin::kernels {

/// N arrays with their dimensions merged as far as that goes; the last of these is the row.
template <int N>
struct RowWalk {
  std::int64_t rows = 1;
  std::int64_t length = 1;  ///< elements of a row
  std::int64_t packs = 0;   ///< of a row; what is left of it is walked one by one
  int outer_rank = 0;
  std::int64_t extents[kMaxRank] = {};     ///< of the dimensions in front of the row
  std::int64_t strides[N][kMaxRank] = {};  ///< of the same
  std::int64_t steps[N] = {};              ///< from one element of a row to the next
};

/// An array of a walk.
struct WalkedArray {
  const void* data;
  std::size_t element_bytes;
  const std::int64_t* strides;
};

/// Packs of W are used if every array has its rows in one piece (or one element for a whole row)
/// and each row begins at a multiple of a pack. Null arrays are not asked.
template <int W, int N>
static RowWalk<N> row_walk(int rank, const std::int64_t* extents,
                           const std::array<WalkedArray, N>& arrays) {
  std::array<const std::int64_t*, N> strides{};
  for (std::size_t n = 0; n < N; ++n) {
    strides[n] = arrays[n].strides;
  }
  const StridedLoop<N> loop(rank, extents, strides);
  RowWalk<N> walk;
  walk.rows = loop.rows();
  walk.length = loop.row_length();
  walk.outer_rank = loop.rank - 1;
  bool in_packs = true;
  for (int d = 0; d < walk.outer_rank; ++d) {
    walk.extents[d] = loop.extents[static_cast<std::size_t>(d)];
  }
  for (std::size_t n = 0; n < N; ++n) {
    walk.steps[n] = loop.row_stride(n);
    bool whole =
        walk.steps[n] == 1 &&
        reinterpret_cast<std::uintptr_t>(arrays[n].data) % (arrays[n].element_bytes * W) == 0;
    for (int d = 0; d < walk.outer_rank; ++d) {
      walk.strides[n][d] = loop.strides[n][static_cast<std::size_t>(d)];
      whole = whole && walk.strides[n][d] % W == 0;
    }
    in_packs = in_packs && (whole || walk.steps[n] == 0 || arrays[n].data == nullptr);
  }
  walk.packs = in_packs ? walk.length / W : 0;
  return walk;
}

/// Blocks of 256 threads, as many of them along x as a row can use. A walk without elements must
/// not be launched.
template <int W, int N>
static LaunchShape row_shape(const char* name, const RowWalk<N>& walk) {
  constexpr unsigned kThreads = 256;
  const std::int64_t calls = pack_calls(walk.length, walk.packs, W);
  unsigned along_x = 1;
  while (along_x < kThreads && along_x < calls) {
    along_x *= 2;
  }
  const unsigned along_y = kThreads / along_x;
  const unsigned columns = blocks_for(calls, along_x);
  const auto most_rows = static_cast<std::int64_t>(blocks_for(walk.rows, along_y));
  const auto rows =
      static_cast<unsigned>(std::min(most_rows, pieces_of(132 * 16, std::int64_t{columns})));
  return {name, {columns, rows, 1}, {along_x, along_y, 1}};
}

/// Calls function(Width<W>, at) for each pack of each row and function(Width<1>, at) for the other
/// elements; at[n] is the offset of the first in array n.
template <int W, int N, class F>
BASIN_DEVICE inline void for_row_packs(const RowWalk<N>& walk, F&& function) {
  const std::int64_t row_step = std::int64_t{gridDim.y} * blockDim.y;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t first = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (std::int64_t row = std::int64_t{blockIdx.y} * blockDim.y + threadIdx.y; row < walk.rows;
       row += row_step) {
    std::int64_t start[N] = {};
    std::int64_t rest = row;
    for (int d = walk.outer_rank - 1; d >= 0; --d) {
      std::int64_t index = rest;
      if (d > 0) {
        rest /= walk.extents[d];
        index -= rest * walk.extents[d];
      }
      for (int n = 0; n < N; ++n) {
        start[n] += index * walk.strides[n][d];
      }
    }
    std::int64_t at[N];
    for (std::int64_t pack = first; pack < walk.packs; pack += step) {
      for (int n = 0; n < N; ++n) {
        at[n] = start[n] + pack * W * walk.steps[n];
      }
      function(Width<W>{}, at);
    }
    for (std::int64_t i = walk.packs * W + first; i < walk.length; i += step) {
      for (int n = 0; n < N; ++n) {
        at[n] = start[n] + i * walk.steps[n];
      }
      function(Width<1>{}, at);
    }
  }
}

/// A pack of a row whose elements lie `step` apart: next to each other, or all at one place.
template <int W, class T>
BASIN_DEVICE inline Pack<T, W> load_of_row(const T* x, std::int64_t step) {
  Pack<T, W> values;
  if (W == 1 || step != 0) {
    values = load_pack<W>(x);
  } else {
    for (int k = 0; k < W; ++k) {
      values.at[k] = *x;
    }
  }
  return values;
}

}  // namespace basin::kernels

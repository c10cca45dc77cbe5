// The scan of linear attention (linear_pass.cuh) in f32 and f64: a state lies in shared memory, and
// threads multiply pieces of it there.
#pragma once

#include <cstdint>

#include "kernels/association/linear_pass.cuh"
#include "kernels/association/tiles.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/math.h"

namespace basin::kernels {

namespace {

// Rows of a tile and columns of a slice: what 163 KiB of shared memory hold at this width.
template <class T, int kWidth>
struct LinearTile {
  static constexpr bool kSmall = sizeof(T) == 8;
  static constexpr int kRows = kSmall ? (kWidth > 64 ? 16 : 32) : (kWidth > 64 ? 32 : 64);
  static constexpr int kSlice = kSmall ? (kWidth > 64 ? 16 : 32) : (kWidth > 32 ? 64 : 32);
  static constexpr int kR = kRows / kDown;
  static constexpr int kC = kRows / kAcross;
  static constexpr int kOut = kSlice / kAcross;
  static constexpr int kIn = kRows * kRowOf<T, kWidth>;
  static constexpr int kValues = kRows * kRowOf<T, kSlice>;
  static constexpr int kMatrix = kWidth * kRowOf<T, kSlice>;
  static constexpr int kPairs = kRows * kRowOf<T, kRows>;
  /// Numbers of a state in memory: the matrix, sum of b_c, sum of gamma_c w_c.
  static constexpr int kState = kWidth * kSlice + kWidth + kSlice;
  static constexpr std::size_t kStateBytes =
      sizeof(T) * (kIn + kValues + kMatrix + kWidth + kSlice + kRows);
  static constexpr std::size_t kBytes = kStateBytes + sizeof(T) * (kIn + kPairs + kRows);
};

template <class T>
BASIN_DEVICE T feature(T x) {
  return x > T(0) ? x + T(1) : exp_of(x);
}

/// Columns first ... first + kWidth - 1 of the rows from `begin` on into a tile; zeros outside of
/// rows 0 ... end - 1 and behind `width`.
template <int kRows, int kWidth, class T>
BASIN_DEVICE void take_tile(T* tile, const HeadView& view, Take take, const LinearPass& p,
                            const LinearHead& head, std::int64_t begin, std::int64_t end,
                            std::int64_t first, std::int64_t width) {
  const T* const from = view.head<T>(head.b, head.h);
  const T* const n = take == Take::divided ? static_cast<const T*>(p.n) + head.at * p.L : nullptr;
  for (int at = static_cast<int>(threadIdx.x); at < kRows * kWidth; at += kTileThreads) {
    const std::int64_t row = begin + at / kWidth;
    const std::int64_t column = first + at % kWidth;
    T number = 0;
    if (row >= 0 && row < end && column < width) {
      number = from[row * view.row_stride + column];
      number = take == Take::features ? feature(number)
                                      : (take == Take::divided ? number / n[row] : number);
    }
    tile[at / kWidth * kRowOf<T, kWidth> + at % kWidth] = number;
  }
}

/// alpha or gamma of the rows from `begin` on: 1 where there is none.
template <int kRows, class T>
BASIN_DEVICE void take_extra(T* extra, const void* from, const LinearPass& p,
                             const LinearHead& head, std::int64_t begin, std::int64_t end) {
  const int row = static_cast<int>(threadIdx.x);
  if (row < kRows) {
    const bool there = begin + row >= 0 && begin + row < end;
    T number = there ? T(1) : T(0);
    if (there && from != nullptr) {
      number = static_cast<const T*>(from)[head.at * p.L + begin + row];
    }
    extra[row] = number;
  }
}

/// A state in shared memory.
template <class T, int kWidth>
class LinearState {
 public:
  using Tile = LinearTile<T, kWidth>;

  /// `memory`: kMatrix + kWidth + kSlice numbers.
  BASIN_DEVICE explicit LinearState(T* memory)
      : matrix(memory), sum_b(memory + Tile::kMatrix), sum_w(sum_b + kWidth) {}

  /// Number `at` of its kState in memory.
  BASIN_DEVICE T& number(int at) const {
    constexpr int kNumbers = kWidth * Tile::kSlice;
    return at < kNumbers ? matrix[at / Tile::kSlice * kRowOf<T, Tile::kSlice> + at % Tile::kSlice]
                         : sum_b[at - kNumbers];
  }

  /// Adds the columns of a tile. Each number belongs to one thread, whatever the tile.
  BASIN_DEVICE void add(const T* b, const T* w, const T* gamma) const {
    constexpr int kHigh = 4;  // rows of the matrix for a thread at a time
    constexpr int run = kRun<Tile::kSlice>;
    constexpr int row = kRowOf<T, Tile::kSlice>;
    for (int first = 0; first < kWidth; first += kDown * kHigh) {
      const int d = first + tile_y() * kHigh;
      T sums[kHigh][Tile::kOut] = {};
      for (int j = 0; j < Tile::kRows; ++j) {
        T left[kHigh];
        read_run(b + j * kRowOf<T, kWidth> + d, left);
        BASIN_UNROLL
        for (int g = 0; g < kRuns<Tile::kSlice>; ++g) {
          T right[run];
          read_run(w + j * row + (g * kAcross + tile_x()) * run, right);
          BASIN_UNROLL
          for (int r = 0; r < kHigh; ++r) {
            BASIN_UNROLL
            for (int c = 0; c < run; ++c) {
              sums[r][g * run + c] += left[r] * right[c];
            }
          }
        }
      }
      BASIN_UNROLL
      for (int r = 0; r < kHigh; ++r) {
        BASIN_UNROLL
        for (int c = 0; c < Tile::kOut; ++c) {
          matrix[(d + r) * row + column_of<Tile::kSlice>(c)] += sums[r][c];
        }
      }
    }
    for (int d = static_cast<int>(threadIdx.x); d < kWidth; d += kTileThreads) {
      T sum = 0;
      for (int j = 0; j < Tile::kRows; ++j) {
        sum += b[j * kRowOf<T, kWidth> + d];
      }
      sum_b[d] += sum;
    }
    const int e = static_cast<int>(threadIdx.x);
    if (e < Tile::kSlice) {
      T sum = 0;
      for (int j = 0; j < Tile::kRows; ++j) {
        sum += gamma[j] * w[j * row + e];
      }
      sum_w[e] += sum;
    }
  }

  T* matrix;
  T* sum_b;
  T* sum_w;
};

/// First kernel: a block for a segment of a slice. `states` has segments + 1 states for each slice
/// of each head.
template <class T, int kWidth>
BASIN_KERNEL void linear_states_kernel(LinearPass p, LinearCut cut, T* states) {
  using Tile = LinearTile<T, kWidth>;
  T* const b = dynamic_shared<T>();
  T* const w = b + Tile::kIn;
  const LinearState<T, kWidth> state(w + Tile::kValues);
  T* const gamma = state.sum_w + Tile::kSlice;
  const std::int64_t segment = blockIdx.x % cut.segments;
  const std::int64_t part = blockIdx.x / cut.segments;
  const LinearHead head(p, part / cut.slices);
  const std::int64_t slice = part % cut.slices * Tile::kSlice;
  for (int at = static_cast<int>(threadIdx.x); at < Tile::kState; at += kTileThreads) {
    state.number(at) = T(0);
  }
  for (std::int64_t tile = 0; tile < cut.tiles; ++tile) {
    const std::int64_t column =
        cut.start + (segment * cut.tiles + tile) * Tile::kRows - head.column_shift;
    if (column >= head.column_end) {
      break;
    }
    __syncthreads();
    take_tile<Tile::kRows, kWidth>(b, p.b, p.take_b, p, head, column, head.column_end, 0, p.inner);
    take_tile<Tile::kRows, Tile::kSlice>(w, p.w, p.take_w, p, head, column, head.column_end, slice,
                                         p.width);
    take_extra<Tile::kRows>(gamma, p.gamma, p, head, column, head.column_end);
    __syncthreads();
    state.add(b, w, gamma);
  }
  __syncthreads();
  T* const to = states + (part * (cut.segments + 1) + segment) * Tile::kState;
  for (int at = static_cast<int>(threadIdx.x); at < Tile::kState; at += kTileThreads) {
    to[at] = state.number(at);
  }
}

/// Third kernel: a block for a segment of rows of a slice.
template <class T, int kWidth>
BASIN_KERNEL void linear_rows_kernel(LinearPass p, LinearCut cut, const T* states, bool extended) {
  using Tile = LinearTile<T, kWidth>;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  constexpr int kPairRow = kRowOf<T, Tile::kRows>;
  T* const b = dynamic_shared<T>();
  T* const w = b + Tile::kIn;
  const LinearState<T, kWidth> state(w + Tile::kValues);
  T* const gamma = state.sum_w + Tile::kSlice;
  T* const a = gamma + Tile::kRows;
  T* const pairs = a + Tile::kIn;
  T* const alpha = pairs + Tile::kPairs;
  const std::int64_t segment = blockIdx.x % cut.row_segments;
  const std::int64_t part = blockIdx.x / cut.row_segments;
  const LinearHead head(p, part / cut.slices);
  const std::int64_t slice = part % cut.slices * Tile::kSlice;
  const T* const from =
      states + (part * (cut.segments + 1) + (p.causal ? segment : cut.segments)) * Tile::kState;
  for (int at = static_cast<int>(threadIdx.x); at < Tile::kState; at += kTileThreads) {
    state.number(at) = from[at];
  }

  for (std::int64_t step = 0; step < cut.tiles; ++step) {
    const std::int64_t tile = p.causal && p.rows_are_keys ? cut.tiles - 1 - step : step;
    const std::int64_t position = cut.start + (segment * cut.tiles + tile) * Tile::kRows;
    const std::int64_t row = position - head.row_shift;
    const std::int64_t column = position - head.column_shift;
    __syncthreads();  // the tile before has been used
    take_tile<Tile::kRows, kWidth>(a, p.a, p.take_a, p, head, row, head.row_end, 0, p.inner);
    take_extra<Tile::kRows>(alpha, p.alpha, p, head, row, head.row_end);
    if (p.causal) {
      take_tile<Tile::kRows, kWidth>(b, p.b, p.take_b, p, head, column, head.column_end, 0,
                                     p.inner);
      take_tile<Tile::kRows, Tile::kSlice>(w, p.w, p.take_w, p, head, column, head.column_end,
                                           slice, p.width);
      take_extra<Tile::kRows>(gamma, p.gamma, p, head, column, head.column_end);
    }
    __syncthreads();

    T sums[kR][Tile::kOut] = {};
    add_product<NoneHidden, kWidth, Tile::kSlice>(a, state.matrix, sums);
    T weight[kR] = {};  // this thread's part of a_r . sum of b_c
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      const int down = tile_y() + r * kDown;
      if (extended) {
        BASIN_UNROLL
        for (int at = 0; at < Tile::kOut; ++at) {
          sums[r][at] += alpha[down] * state.sum_w[column_of<Tile::kSlice>(at)];
        }
      }
      if (p.written_n != nullptr) {
        for (int d = tile_x(); d < kWidth; d += kAcross) {
          weight[r] += a[down * kRowOf<T, kWidth> + d] * state.sum_b[d];
        }
      }
    }
    if (p.causal) {
      T scores[kR][kC] = {};
      inner_products<kWidth>(a, b, scores);
      BASIN_UNROLL
      for (int r = 0; r < kR; ++r) {
        const int down = tile_y() + r * kDown;
        BASIN_UNROLL
        for (int c = 0; c < kC; ++c) {
          const int across = tile_x() + c * kAcross;
          const bool ordered = p.rows_are_keys ? across >= down : across <= down;
          const bool there = column + across >= 0 && column + across < head.column_end;
          const T extra = extended ? alpha[down] * gamma[across] : T(0);
          const T score = ordered && there && head.sees(row + down) ? scores[r][c] + extra : T(0);
          weight[r] += score;
          pairs[down * kPairRow + across] = score;
        }
      }
      __syncthreads();
      add_product<ZeroHidden, Tile::kRows, Tile::kSlice>(pairs, w, sums);
    }

    T* const y = p.y.head<T>(head.b, head.h);
    const T* const x = p.x.head<T>(head.b, head.h);
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      const std::int64_t i = row + tile_y() + r * kDown;
      T n = 1;
      if (p.written_n != nullptr) {
        n = over_row<Sum>(weight[r]) + static_cast<T>(p.eps);
      }
      if (i < 0 || i >= (p.rows_are_keys ? p.M : p.L)) {
        continue;
      }
      const bool sees = head.sees(i);
      constexpr int run = kRun<Tile::kSlice>;
      BASIN_UNROLL
      for (int first = 0; first < Tile::kOut; first += run) {
        const std::int64_t e = slice + column_of<Tile::kSlice>(first);
        T numbers[run];
        T old[run] = {};
        if (sees && x != nullptr) {
          load_run(x + i * p.x.row_stride + e, p.width - e, old);
        }
        BASIN_UNROLL
        for (int c = 0; c < run; ++c) {
          numbers[c] = sees ? sums[r][first + c] / n : T(0);
          if (x != nullptr) {
            numbers[c] *= old[c] > T(0) ? T(1) : exp_of(old[c]);
          }
        }
        store_run(y + i * p.y.row_stride + e, p.width - e, numbers);
      }
      if (p.written_n != nullptr && slice == 0 && tile_x() == 0) {
        static_cast<T*>(p.written_n)[head.at * p.L + i] = sees ? n : static_cast<T>(p.eps);
      }
    }
    if (p.causal && step + 1 < cut.tiles) {
      state.add(b, w, gamma);
    }
  }
}

}  // namespace

}  // namespace basin::kernels

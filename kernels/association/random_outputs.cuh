// What queries read from the states of random_scan.cuh: the third kernel of the forward pass.
#pragma once

#include "kernels/association/random_scan.cuh"

namespace basin::kernels {

namespace {

/// Third kernel, forward: a block for a segment of rows of a slice. Over the features it is
/// attention with a running maximum, features in the place of keys.
template <class T>
BASIN_KERNEL void random_outputs_kernel(RandomPass p, RandomCut cut, T* states) {
  ScanShared<T>& s = *dynamic_shared<ScanShared<T>>();
  const std::int64_t segment = blockIdx.x % cut.row_segments;
  const std::int64_t part = blockIdx.x / cut.row_segments;
  const ScanHead head(p, part / cut.slices);
  const std::int64_t slice = part % cut.slices * kScanSlice;
  // With causality the state is this block's own, and walks with it.
  T* const state = state_at(states, cut, part, p.causal ? segment : cut.segments);
  constexpr int kOwnRows = kScanRows / kGroups;
  constexpr int kPairs = kScanRows * kScanRows / kScanThreads;
  const int pair_row = static_cast<int>(threadIdx.x) / (kScanRows / kPairs);
  const int pair_column = static_cast<int>(threadIdx.x) % (kScanRows / kPairs) * kPairs;

  for (std::int64_t step = 0; step < cut.tiles; ++step) {
    const ScanTile tile(p, cut, head, segment, step);
    if (tile.row >= p.L) {
      break;
    }
    T sums[kOwnRows] = {};
    T pairs[kPairs] = {};
    __syncthreads();
    if (threadIdx.x < kScanRows) {
      s.largest[threadIdx.x] = Maximum::identity<T>();
      s.total[threadIdx.x] = T(0);
    }
    if (tile.pairs) {
      take_values(s.values, p.column_w, p, head, false, tile.column, slice);
      take_numbers(s.g, p, head, false, tile.column);
    }
    for (std::int64_t feature = 0; feature < cut.features(); feature += kScanFeatures) {
      T* const rows = state + feature * kStateRow;
      log_features(s, p, head, true, tile.row, feature, s.row_logs,
                   static_cast<T(*)[kScanFeatures + 1]>(nullptr));
      if (tile.pairs) {
        log_features(s, p, head, false, tile.column, feature, s.column_logs,
                     static_cast<T(*)[kScanFeatures + 1]>(nullptr));
      }
      take_exponents(s, rows);
      __syncthreads();
      BASIN_UNROLL
      for (int r = 0; r < kRowsOfScanWarp; ++r) {
        const int row = scan_warp() + r * kScanWarps;
        const T log = s.row_logs[row][scan_lane()];
        T most = s.top[scan_lane()];
        for (int j = 0; tile.pairs && j < kScanRows; ++j) {
          most = tile.sees(row, j) ? Maximum::of(most, s.column_logs[j][scan_lane()]) : most;
        }
        // -inf + NaN would be NaN: where there is no feature, nothing is.
        most = log == Maximum::identity<T>() ? log : log + most;
        const T largest = Maximum::of(s.largest[row], warp_reduce<Maximum>(most));
        const T weight =
            log == Maximum::identity<T>() ? T(0) : relative_exp(log + s.top[scan_lane()], largest);
        s.weights[row][scan_lane()] = weight;
        const T total = warp_reduce<Sum>(weight * s.sum[scan_lane()]);
        const T scale = relative_exp(s.largest[row], largest);
        __syncwarp();  // every lane has read the old maximum
        if (scan_lane() == 0) {
          s.row_scale[row] = scale;
          s.largest[row] = largest;
          s.total[row] = s.total[row] * scale + total;
        }
      }
      __syncthreads();
      BASIN_UNROLL
      for (int n = 0; n < kOwnRows; ++n) {
        const int row = scan_group() + n * kGroups;
        sums[n] *= s.row_scale[row];
        for (int f = 0; f < kScanFeatures; ++f) {
          sums[n] += s.weights[row][f] * rows[f * kStateRow + scan_column()];
        }
      }
      BASIN_UNROLL
      for (int n = 0; n < kPairs; ++n) {
        pairs[n] *= s.row_scale[pair_row];
        if (tile.pairs && tile.sees(pair_row, pair_column + n)) {
          for (int f = 0; f < kScanFeatures && feature + f < p.features; ++f) {
            pairs[n] += relative_exp(s.row_logs[pair_row][f] + s.column_logs[pair_column + n][f],
                                     s.largest[pair_row]);
          }
        }
      }
      if (tile.pairs && step + 1 < cut.tiles) {
        fold_exponents(s);
        for (int f = scan_group(); f < kScanFeatures; f += kGroups) {
          T& number = rows[f * kStateRow + scan_column()];
          number = folded(s, f, number);
        }
        keep_exponents(s, rows);
      }
    }
    BASIN_UNROLL
    for (int n = 0; n < kPairs; ++n) {
      s.pairs[pair_row][pair_column + n] = pairs[n];
    }
    __syncthreads();
    T* const out = p.out.head<T>(head.b, head.h);
    BASIN_UNROLL
    for (int n = 0; n < kOwnRows; ++n) {
      const int row = scan_group() + n * kGroups;
      const std::int64_t i = tile.row + row;
      T total = s.total[row];
      for (int j = 0; tile.pairs && j < kScanRows; ++j) {
        if (tile.sees(row, j)) {
          total += s.pairs[row][j];
          sums[n] += s.pairs[row][j] * s.values[j][scan_column()];
        }
      }
      if (i < 0 || i >= p.L) {
        continue;
      }
      const bool sees = head.has_row(i);
      if (slice + scan_column() < p.Dv) {
        out[i * p.out.row_stride + slice + scan_column()] = sees ? sums[n] / total : T(0);
      }
      if (slice == 0 && scan_column() == 0) {
        static_cast<T*>(p.log_normaliser)[head.at * p.L + i] =
            sees ? s.largest[row] + std::log(total) : Maximum::identity<T>();
      }
    }
  }
}

}  // namespace

}  // namespace basin::kernels

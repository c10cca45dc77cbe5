// The gradients from the states of random_scan.cuh: the third kernel of the backward pass.
#pragma once

#include "kernels/association/random_scan.cuh"

namespace basin::kernels {

namespace {

/// Third kernel, backward: a block for a segment of rows of a head. With e_f = e^(l + top_f) and a
/// row's y and kappa, the gradient of its exponent l_f is e_f (S_f.y + kappa z_f), and dw, of keys,
/// is the sum of e_f S_f. `parts` receives the block's x . dx.
template <class T>
BASIN_KERNEL void random_gradients_kernel(RandomPass p, RandomCut cut, T* states, double* parts) {
  ScanShared<T>& s = *dynamic_shared<ScanShared<T>>();
  const std::int64_t segment = blockIdx.x % cut.row_segments;
  const std::int64_t at_head = blockIdx.x / cut.row_segments;
  const ScanHead head(p, at_head);
  const std::int64_t place = p.causal ? segment : cut.segments;
  const auto state_of = [&](std::int64_t slice, std::int64_t feature) {
    return state_at(states, cut, at_head * cut.slices + slice, place) + feature * kStateRow;
  };
  constexpr int kOwnRows = kScanRows / kGroups;
  constexpr int kPairs = kScanRows * kScanRows / kScanThreads;
  const int pair_row = static_cast<int>(threadIdx.x) / (kScanRows / kPairs);
  const int pair_column = static_cast<int>(threadIdx.x) % (kScanRows / kPairs) * kPairs;
  const T root = std::sqrt(static_cast<const T*>(p.beta)[head.h]);
  const T* const projection = static_cast<const T*>(p.projection);
  const T* const x = p.row_x.head<T>(head.b, head.h);
  T* const dx = p.dx.head<T>(head.b, head.h);
  T* const dw = p.dw.data == nullptr ? nullptr : p.dw.head<T>(head.b, head.h);
  const std::int64_t rows = p.rows_are_keys ? p.M : p.L;
  double part = 0;

  for (std::int64_t step = 0; step < cut.tiles; ++step) {
    const ScanTile tile(p, cut, head, segment, step);
    if (!tile.pairs && tile.row >= rows) {
      break;  // with causality there may be columns where there are no rows
    }
    __syncthreads();
    take_numbers(s.kappa, p, head, true, tile.row);
    if (threadIdx.x < kScanRows) {
      s.total[threadIdx.x] = T(0);
    }
    if (tile.pairs) {
      // w_j . y_i + kappa_i g_j of the tile's pairs.
      take_numbers(s.g, p, head, false, tile.column);
      T products[kPairs] = {};
      for (std::int64_t slice = 0; slice < p.Dv; slice += kScanSlice) {
        __syncthreads();
        take_values(s.values, p.column_w, p, head, false, tile.column, slice);
        take_values(s.y, p.row_y, p, head, true, tile.row, slice);
        __syncthreads();
        BASIN_UNROLL
        for (int n = 0; n < kPairs; ++n) {
          for (int c = 0; c < kScanSlice; ++c) {
            products[n] += s.values[pair_column + n][c] * s.y[pair_row][c];
          }
        }
      }
      __syncthreads();
      BASIN_UNROLL
      for (int n = 0; n < kPairs; ++n) {
        const int j = pair_column + n;
        s.pairs[pair_row][j] =
            tile.sees(pair_row, j) ? products[n] + s.kappa[pair_row] * s.g[j] : T(0);
      }
    }
    T affinities[kPairs] = {};  // sum over features of e^(l_i + l_j), for dw
    for (std::int64_t feature = 0; feature < cut.features(); feature += kScanFeatures) {
      log_features(s, p, head, true, tile.row, feature, s.row_logs, s.slopes);
      if (tile.pairs) {
        log_features(s, p, head, false, tile.column, feature, s.column_logs,
                     static_cast<T(*)[kScanFeatures + 1]>(nullptr));
      }
      take_exponents(s, state_of(0, feature));
      __syncthreads();
      BASIN_UNROLL
      for (int r = 0; r < kRowsOfScanWarp; ++r) {
        const int row = scan_warp() + r * kScanWarps;
        const T log = s.row_logs[row][scan_lane()];
        s.weights[row][scan_lane()] =
            log == Maximum::identity<T>() || s.top[scan_lane()] == Maximum::identity<T>()
                ? T(0)
                : exp_of(log + s.top[scan_lane()]);
      }
      T dots[kRowsOfScanWarp] = {};
      for (std::int64_t slice = 0; slice < cut.slices; ++slice) {
        const T* const from = state_of(slice, feature);
        __syncthreads();
        for (int f = scan_group(); f < kScanFeatures; f += kGroups) {
          s.state[f][scan_column()] = from[f * kStateRow + scan_column()];
        }
        take_values(s.y, p.row_y, p, head, true, tile.row, slice * kScanSlice);
        __syncthreads();
        BASIN_UNROLL
        for (int r = 0; r < kRowsOfScanWarp; ++r) {
          for (int c = 0; c < kScanSlice; ++c) {
            dots[r] += s.state[scan_lane()][c] * s.y[scan_warp() + r * kScanWarps][c];
          }
        }
        const std::int64_t c = slice * kScanSlice + scan_column();
        for (int n = 0; dw != nullptr && c < p.Dv && n < kOwnRows; ++n) {
          const int row = scan_group() + n * kGroups;
          if (head.has_row(tile.row + row)) {
            T& number = dw[(tile.row + row) * p.dw.row_stride + c];
            T sum = feature == 0 ? T(0) : number;
            for (int f = 0; f < kScanFeatures; ++f) {
              sum += s.weights[row][f] * s.state[f][scan_column()];
            }
            number = sum;
          }
        }
      }
      // The gradients of the exponents, and from them those of w.x'.
      BASIN_UNROLL
      for (int r = 0; r < kRowsOfScanWarp; ++r) {
        const int row = scan_warp() + r * kScanWarps;
        const T log = s.row_logs[row][scan_lane()];
        T slope = s.weights[row][scan_lane()] * (dots[r] + s.kappa[row] * s.sum[scan_lane()]);
        for (int j = 0; tile.pairs && j < kScanRows; ++j) {
          if (tile.sees(row, j) && feature + scan_lane() < p.features) {
            slope += exp_of(log + s.column_logs[j][scan_lane()]) * s.pairs[row][j];
          }
        }
        slope *= s.slopes[row][scan_lane()];
        s.slopes[row][scan_lane()] = slope;
        const T total = warp_reduce<Sum>(slope);
        if (scan_lane() == 0) {
          s.total[row] += total;
        }
      }
      if (dw != nullptr && tile.pairs) {
        BASIN_UNROLL
        for (int n = 0; n < kPairs; ++n) {
          if (tile.sees(pair_row, pair_column + n)) {
            for (int f = 0; f < kScanFeatures && feature + f < p.features; ++f) {
              affinities[n] += exp_of(s.row_logs[pair_row][f] + s.column_logs[pair_column + n][f]);
            }
          }
        }
      }
      // dx = root (sum over f of slope_f w_f ...), a chunk of D at a time.
      for (std::int64_t first = 0; first < p.D; first += kScanChunk) {
        __syncthreads();
        for (int at = static_cast<int>(threadIdx.x); at < kScanFeatures * kScanChunk;
             at += kScanThreads) {
          const std::int64_t f = feature + at / kScanChunk;
          const std::int64_t d = first + at % kScanChunk;
          s.projection[at / kScanChunk][at % kScanChunk] =
              f < p.features && d < p.D ? projection[f * p.D + d] : T(0);
        }
        __syncthreads();
        const std::int64_t d = first + scan_lane();
        for (int r = 0; d < p.D && r < kRowsOfScanWarp; ++r) {
          const int row = scan_warp() + r * kScanWarps;
          if (head.has_row(tile.row + row)) {
            T& number = dx[(tile.row + row) * p.dx.row_stride + d];
            T sum = feature == 0 ? T(0) : number;
            for (int f = 0; f < kScanFeatures; ++f) {
              sum += s.slopes[row][f] * s.projection[f][scan_lane()];
            }
            number = sum;
          }
        }
      }
      if (tile.pairs && step + 1 < cut.tiles) {
        fold_exponents(s);
        for (std::int64_t slice = 0; slice < cut.slices; ++slice) {
          T* const to = state_of(slice, feature);
          __syncthreads();
          take_values(s.values, p.column_w, p, head, false, tile.column, slice * kScanSlice);
          __syncthreads();
          for (int f = scan_group(); f < kScanFeatures; f += kGroups) {
            T& number = to[f * kStateRow + scan_column()];
            number = folded(s, f, number);
          }
        }
        keep_exponents(s, state_of(0, feature));
      }
    }
    __syncthreads();
    // The term -|x'|^2 / 2 of a key's exponents, and sqrt(beta).
    const bool has_square = p.rows_are_keys && p.map == FeatureMap::positive;
    for (std::int64_t d = scan_lane(); d < p.D; d += kWarpSize) {
      for (int r = 0; r < kRowsOfScanWarp; ++r) {
        const int row = scan_warp() + r * kScanWarps;
        const std::int64_t i = tile.row + row;
        if (i < 0 || i >= rows) {
          continue;
        }
        T& number = dx[i * p.dx.row_stride + d];
        if (head.has_row(i)) {
          const T own = x[i * p.row_x.row_stride + d];
          number = root * (number - (has_square ? s.total[row] * root * own : T(0)));
          part += static_cast<double>(own) * static_cast<double>(number);
        } else {
          number = T(0);
        }
      }
    }
    if (dw != nullptr) {
      if (tile.pairs) {
        BASIN_UNROLL
        for (int n = 0; n < kPairs; ++n) {
          s.pairs[pair_row][pair_column + n] = affinities[n];
        }
      }
      for (std::int64_t slice = 0; slice < cut.slices; ++slice) {
        __syncthreads();
        if (tile.pairs) {
          take_values(s.values, p.column_w, p, head, false, tile.column, slice * kScanSlice);
        }
        __syncthreads();
        const std::int64_t c = slice * kScanSlice + scan_column();
        for (int n = 0; c < p.Dv && n < kOwnRows; ++n) {
          const int row = scan_group() + n * kGroups;
          const std::int64_t i = tile.row + row;
          if (i < 0 || i >= rows) {
            continue;
          }
          T& number = dw[i * p.dw.row_stride + c];
          T sum = head.has_row(i) ? number : T(0);
          for (int j = 0; tile.pairs && j < kScanRows; ++j) {
            sum += tile.sees(row, j) ? s.pairs[row][j] * s.values[j][scan_column()] : T(0);
          }
          number = sum;
        }
      }
    }
  }
  __syncthreads();
  part = block_reduce<Sum>(part);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = part;
  }
}

/// dbeta of a head from q . dq and k . dk of its segments in all batch items: a block for a head.
template <class T>
BASIN_KERNEL void random_dbeta_kernel(RandomFeatureBackward p, const double* of_queries,
                                      std::int64_t query_parts, const double* of_keys,
                                      std::int64_t key_parts) {
  const std::int64_t h = blockIdx.x;
  double sum = 0;
  for (std::int64_t at = threadIdx.x; at < p.B * query_parts; at += blockDim.x) {
    sum += of_queries[(at / query_parts * p.H + h) * query_parts + at % query_parts];
  }
  for (std::int64_t at = threadIdx.x; at < p.B * key_parts; at += blockDim.x) {
    sum += of_keys[(at / key_parts * p.H + h) * key_parts + at % key_parts];
  }
  sum = block_reduce<Sum>(sum);
  if (threadIdx.x == 0) {
    static_cast<T*>(p.dbeta)[h] =
        static_cast<T>(sum / (2 * static_cast<double>(static_cast<const T*>(p.beta)[h])));
  }
}

}  // namespace

}  // namespace basin::kernels

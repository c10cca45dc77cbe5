// Attention through random features on a GPU, forward and backward, as one scan with several
// readings. On a line of positions, columns leave behind a state per feature f,
//
//     S_f = sum of e^(l_cf) w_c    and    z_f = sum of e^(l_cf) g_c,
//
// kept as multiples of e^top_f, top_f the largest exponent l_cf that went in: nothing overflows,
// and what comes later does not touch what was. Rows read it: those behind their columns with
// causality, all of it without. Forward, rows are queries and columns keys (l = ln phi(k), w = v, g
// = 1). For dq they are the same; for dk and dv rows are keys and columns the queries behind them
// (l = ln phi(q) - ln n, w = dout, g = -delta).
//
// The line is cut into segments. The first kernel sums up each segment, the second turns these sums
// into those of all segments in front (or behind), and the third walks through each segment once
// more with its state, in tiles of 16 rows; within a tile every pair of row and column is looked
// at. Features exist in shared memory only, 32 at a time. Widths are not limited.
#pragma once

#include <cmath>

#include "kernels/association/random_feature_attention.h"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/math.h"

namespace basin::kernels {

namespace {

constexpr int kScanThreads = 128;
constexpr int kScanWarps = kScanThreads / kWarpSize;
constexpr int kScanRows = 16;             // of a tile
constexpr int kScanFeatures = kWarpSize;  // of a tile: one for a lane
constexpr int kScanSlice = 64;            // columns of w at a time
constexpr int kScanChunk = 32;            // numbers of x at a time
constexpr int kRowsOfScanWarp = kScanRows / kScanWarps;
constexpr int kGroups = kScanThreads / kScanSlice;  // threads of one column
constexpr int kStateRow = kScanSlice + 2;           // of a feature: S, z, top

/// One reading. Arrays that a reading does not have are null.
struct RandomPass {
  HeadView row_x, column_x;  ///< (., D): what has features
  HeadView column_w;         ///< (., Dv)
  HeadView row_y;          ///< (., Dv): what S is multiplied with for the gradient of the exponents
  HeadView out;            ///< forward: (rows, Dv)
  HeadView dx;             ///< backward: (rows, D)
  HeadView dw;             ///< backward, where rows are keys: (rows, Dv)
  const void* projection;  ///< (features, D)
  const void* beta;        ///< (H)
  const std::int64_t* key_lengths;
  void* log_normaliser;  ///< (B,H,L): forward it is written, backward queries' exponents lose it
  const void* delta;     ///< (B,H,L), backward: dout . out
  std::int64_t B, H, L, M, D, Dv, features;
  bool rows_are_keys, causal;
  FeatureMap map;

  BASIN_HOST_DEVICE bool backward() const { return dx.data != nullptr; }
  std::int64_t rows() const { return rows_are_keys ? M : L; }
  std::int64_t columns() const { return rows_are_keys ? L : M; }
};

struct RandomCut {
  std::int64_t start;     ///< position of the first tile; negative where queries are before key 0
  std::int64_t segments;  ///< of the line
  std::int64_t tiles;     ///< of a segment
  std::int64_t slices;    ///< of w
  std::int64_t feature_tiles;
  std::int64_t row_segments;  ///< blocks of a head and slice in the third kernel

  BASIN_HOST_DEVICE std::int64_t features() const { return feature_tiles * kScanFeatures; }
};

/// Which rows and columns of a head take part: those that see something or are seen.
struct ScanHead {
  std::int64_t b, h, at;
  std::int64_t row_shift, column_shift;  ///< position = index + shift
  std::int64_t row_begin, row_end, column_begin, column_end;

  BASIN_DEVICE ScanHead(const RandomPass& p, std::int64_t head)
      : b(head / p.H), h(head % p.H), at(head) {
    std::int64_t length = p.M;
    if (p.key_lengths != nullptr) {
      length = p.key_lengths[b];
      length = length < 0 ? 0 : (length < p.M ? length : p.M);
    }
    const std::int64_t shift = p.causal ? p.M - p.L : 0;
    const std::int64_t first = shift < 0 ? -shift : 0;  // the first query that sees a key
    const std::int64_t queries = length > 0 ? p.L : 0;
    const std::int64_t keys = p.L > first ? length : 0;
    row_shift = p.rows_are_keys ? 0 : shift;
    column_shift = p.rows_are_keys ? shift : 0;
    row_begin = p.rows_are_keys ? 0 : first;
    row_end = p.rows_are_keys ? keys : queries;
    column_begin = p.rows_are_keys ? first : 0;
    column_end = p.rows_are_keys ? queries : keys;
  }
  BASIN_DEVICE bool has_row(std::int64_t i) const { return i >= row_begin && i < row_end; }
  BASIN_DEVICE bool has_column(std::int64_t j) const { return j >= column_begin && j < column_end; }
};

/// What a block has in shared memory.
template <class T>
struct ScanShared {
  T x[kScanRows][kScanChunk + 1];
  T projection[kScanFeatures][kScanChunk + 1];
  T row_logs[kScanRows][kScanFeatures + 1];
  T column_logs[kScanRows][kScanFeatures + 1];
  T weights[kScanRows][kScanFeatures + 1];
  T slopes[kScanRows][kScanFeatures + 1];
  T state[kScanFeatures][kScanSlice + 1];
  T values[kScanRows][kScanSlice];  // w of the tile's columns
  T y[kScanRows][kScanSlice];
  T pairs[kScanRows][kScanRows + 1];
  T top[kScanFeatures], sum[kScanFeatures], scale[kScanFeatures];
  T g[kScanRows], kappa[kScanRows];
  T largest[kScanRows], row_scale[kScanRows], total[kScanRows];
};

BASIN_DEVICE inline int scan_lane() { return static_cast<int>(threadIdx.x) % kWarpSize; }
BASIN_DEVICE inline int scan_warp() { return static_cast<int>(threadIdx.x) / kWarpSize; }
BASIN_DEVICE inline int scan_column() { return static_cast<int>(threadIdx.x) % kScanSlice; }
BASIN_DEVICE inline int scan_group() { return static_cast<int>(threadIdx.x) / kScanSlice; }

/// e^(x - top), and 0 where x is the exponent of nothing.
template <class T>
BASIN_DEVICE T relative_exp(T x, T top) {
  return x == Maximum::identity<T>() ? T(0) : exp_of(x - top);
}

/// logs[row][f] = ln phi(x)_f of the features from `feature` on and the rows from `begin` on; of
/// nothing, -inf. `slopes`, if not null, receives d ln phi / d(w.x'). Begins and ends with a
/// barrier.
template <class T>
BASIN_DEVICE void log_features(ScanShared<T>& s, const RandomPass& p, const ScanHead& head,
                               bool rows, std::int64_t begin, std::int64_t feature,
                               T (*logs)[kScanFeatures + 1], T (*slopes)[kScanFeatures + 1]) {
  const HeadView& view = rows ? p.row_x : p.column_x;
  const T* const x = view.head<T>(head.b, head.h);
  const T* const projection = static_cast<const T*>(p.projection);
  const T root = std::sqrt(static_cast<const T*>(p.beta)[head.h]);
  const bool is_key = rows == p.rows_are_keys;
  const auto there = [&](int row) {
    return rows ? head.has_row(begin + row) : head.has_column(begin + row);
  };
  T inner[kRowsOfScanWarp] = {};
  T squares[kRowsOfScanWarp] = {};
  for (std::int64_t first = 0; first < p.D; first += kScanChunk) {
    __syncthreads();
    for (int at = static_cast<int>(threadIdx.x); at < kScanRows * kScanChunk; at += kScanThreads) {
      const int row = at / kScanChunk;
      const std::int64_t d = first + at % kScanChunk;
      s.x[row][at % kScanChunk] =
          there(row) && d < p.D ? root * x[(begin + row) * view.row_stride + d] : T(0);
    }
    for (int at = static_cast<int>(threadIdx.x); at < kScanFeatures * kScanChunk;
         at += kScanThreads) {
      const std::int64_t f = feature + at / kScanChunk;
      const std::int64_t d = first + at % kScanChunk;
      s.projection[at / kScanChunk][at % kScanChunk] =
          f < p.features && d < p.D ? projection[f * p.D + d] : T(0);
    }
    __syncthreads();
    BASIN_UNROLL
    for (int r = 0; r < kRowsOfScanWarp; ++r) {
      const T* const row = s.x[scan_warp() + r * kScanWarps];
      squares[r] += row[scan_lane()] * row[scan_lane()];
      for (int d = 0; d < kScanChunk; ++d) {
        inner[r] += row[d] * s.projection[scan_lane()][d];
      }
    }
  }
  BASIN_UNROLL
  for (int r = 0; r < kRowsOfScanWarp; ++r) {
    const int row = scan_warp() + r * kScanWarps;
    T log = 0;
    T slope = 1;
    const T half = warp_reduce<Sum>(squares[r]) / 2;
    if (p.map == FeatureMap::positive) {
      log = is_key ? inner[r] - half : inner[r];
    } else {
      const T floor = static_cast<T>(kReluFeatureFloor);
      log = std::log(inner[r] <= 0 ? floor : inner[r] + floor);
      slope = inner[r] <= 0 ? T(0) : T(1) / (inner[r] + floor);
    }
    const bool real = there(row) && feature + scan_lane() < p.features;
    if (real && !is_key && p.backward()) {
      log -= static_cast<const T*>(p.log_normaliser)[head.at * p.L + begin + row];
    }
    logs[row][scan_lane()] = real ? log : Maximum::identity<T>();
    if (slopes != nullptr) {
      slopes[row][scan_lane()] = real ? slope : T(0);
    }
  }
  __syncthreads();
}

/// A tile of an array (., Dv): columns slice ... slice + 63, zeros where there is nothing.
template <class T>
BASIN_DEVICE void take_values(T (*to)[kScanSlice], const HeadView& view, const RandomPass& p,
                              const ScanHead& head, bool rows, std::int64_t begin,
                              std::int64_t slice) {
  const T* const from = view.head<T>(head.b, head.h);
  for (int at = static_cast<int>(threadIdx.x); at < kScanRows * kScanSlice; at += kScanThreads) {
    const std::int64_t row = begin + at / kScanSlice;
    const std::int64_t c = slice + at % kScanSlice;
    const bool there = (rows ? head.has_row(row) : head.has_column(row)) && c < p.Dv;
    to[at / kScanSlice][at % kScanSlice] = there ? from[row * view.row_stride + c] : T(0);
  }
}

/// The numbers that z is a sum of, or for rows what it is multiplied with: delta of queries with a
/// minus, 1 for keys and in the forward pass.
template <class T>
BASIN_DEVICE void take_numbers(T* to, const RandomPass& p, const ScanHead& head, bool rows,
                               std::int64_t begin) {
  const int row = static_cast<int>(threadIdx.x);
  if (row < kScanRows) {
    const bool there = rows ? head.has_row(begin + row) : head.has_column(begin + row);
    const bool is_key = rows == p.rows_are_keys;
    T number = there ? T(1) : T(0);
    if (there && !is_key && p.backward()) {
      number = -static_cast<const T*>(p.delta)[head.at * p.L + begin + row];
    }
    to[row] = number;
  }
}

/// Takes the columns of a tile into top, sum and scale of 32 features, and leaves their weights
/// e^(l - top) in column_logs. Begins and ends with a barrier.
template <class T>
BASIN_DEVICE void fold_exponents(ScanShared<T>& s) {
  const int f = static_cast<int>(threadIdx.x);
  __syncthreads();
  if (f < kScanFeatures) {
    T top = s.top[f];
    for (int j = 0; j < kScanRows; ++j) {
      top = Maximum::of(top, s.column_logs[j][f]);
    }
    s.scale[f] = relative_exp(s.top[f], top);
    s.top[f] = top;
  }
  __syncthreads();
  BASIN_UNROLL
  for (int r = 0; r < kRowsOfScanWarp; ++r) {
    T& log = s.column_logs[scan_warp() + r * kScanWarps][scan_lane()];
    log = relative_exp(log, s.top[scan_lane()]);
  }
  __syncthreads();
  if (f < kScanFeatures) {
    T sum = s.sum[f] * s.scale[f];
    for (int j = 0; j < kScanRows; ++j) {
      sum += s.column_logs[j][f] * s.g[j];
    }
    s.sum[f] = sum;
  }
  __syncthreads();
}

/// The S of feature f, column scan_column(), with the tile's columns, after fold_exponents().
template <class T>
BASIN_DEVICE T folded(const ScanShared<T>& s, int f, T old) {
  T sum = old * s.scale[f];
  for (int j = 0; j < kScanRows; ++j) {
    sum += s.column_logs[j][f] * s.values[j][scan_column()];
  }
  return sum;
}

/// Of the state of a slice of a head in front of a segment: the row of its first feature.
template <class T>
BASIN_DEVICE T* state_at(T* states, const RandomCut& cut, std::int64_t part, std::int64_t segment) {
  return states + (part * (cut.segments + 1) + segment) * cut.features() * kStateRow;
}

/// First kernel: a block for 32 features of a segment of a slice of a head.
template <class T>
BASIN_KERNEL void random_states_kernel(RandomPass p, RandomCut cut, T* states) {
  ScanShared<T>& s = *dynamic_shared<ScanShared<T>>();
  const std::int64_t feature = blockIdx.x % cut.feature_tiles * kScanFeatures;
  const std::int64_t block = blockIdx.x / cut.feature_tiles;
  const std::int64_t segment = block % cut.segments;
  const std::int64_t part = block / cut.segments;
  const ScanHead head(p, part / cut.slices);
  const std::int64_t slice = part % cut.slices * kScanSlice;
  constexpr int kOwn = kScanFeatures / kGroups;
  T sums[kOwn] = {};
  if (threadIdx.x < kScanFeatures) {
    s.top[threadIdx.x] = Maximum::identity<T>();
    s.sum[threadIdx.x] = T(0);
  }
  for (std::int64_t tile = 0; tile < cut.tiles; ++tile) {
    const std::int64_t column =
        cut.start + (segment * cut.tiles + tile) * kScanRows - head.column_shift;
    if (column >= head.column_end) {
      break;
    }
    log_features(s, p, head, false, column, feature, s.column_logs,
                 static_cast<T(*)[kScanFeatures + 1]>(nullptr));
    take_values(s.values, p.column_w, p, head, false, column, slice);
    take_numbers(s.g, p, head, false, column);
    fold_exponents(s);
    BASIN_UNROLL
    for (int n = 0; n < kOwn; ++n) {
      sums[n] = folded(s, scan_group() + n * kGroups, sums[n]);
    }
  }
  __syncthreads();
  T* const to = state_at(states, cut, part, segment) + feature * kStateRow;
  BASIN_UNROLL
  for (int n = 0; n < kOwn; ++n) {
    to[(scan_group() + n * kGroups) * kStateRow + scan_column()] = sums[n];
  }
  if (threadIdx.x < kScanFeatures) {
    to[threadIdx.x * kStateRow + kScanSlice] = s.sum[threadIdx.x];
    to[threadIdx.x * kStateRow + kScanSlice + 1] = s.top[threadIdx.x];
  }
}

/// Second kernel: a block for a feature of a slice of a head, a thread for each of its numbers.
/// Replaces the states of segments by those of all in front, or behind if `reversed`; the last of
/// the segments + 1 is that of all.
template <class T>
BASIN_KERNEL void random_prefix_kernel(T* states, RandomCut cut, bool reversed) {
  const std::int64_t feature = blockIdx.x % cut.features();
  const std::int64_t part = blockIdx.x / cut.features();
  const int at = static_cast<int>(threadIdx.x);
  T sum = 0;
  T top = Maximum::identity<T>();
  for (std::int64_t step = 0; step <= cut.segments; ++step) {
    const bool last = step == cut.segments;
    const std::int64_t segment = last || !reversed ? step : cut.segments - 1 - step;
    T* const row = state_at(states, cut, part, segment) + feature * kStateRow;
    const T own_top = last ? Maximum::identity<T>() : row[kScanSlice + 1];
    const T own = last || at > kScanSlice ? T(0) : row[at];
    __syncthreads();  // all have read
    if (at <= kScanSlice) {
      row[at] = sum;
    } else if (at == kScanSlice + 1) {
      row[at] = top;
    }
    const T larger = Maximum::of(top, own_top);
    sum = sum * relative_exp(top, larger) + own * relative_exp(own_top, larger);
    top = larger;
  }
}

/// top and sum of a state's features from `feature` on.
template <class T>
BASIN_DEVICE void take_exponents(ScanShared<T>& s, const T* rows) {
  const int f = static_cast<int>(threadIdx.x);
  if (f < kScanFeatures) {
    s.sum[f] = rows[f * kStateRow + kScanSlice];
    s.top[f] = rows[f * kStateRow + kScanSlice + 1];
  }
}
template <class T>
BASIN_DEVICE void keep_exponents(const ScanShared<T>& s, T* rows) {
  const int f = static_cast<int>(threadIdx.x);
  if (f < kScanFeatures) {
    rows[f * kStateRow + kScanSlice] = s.sum[f];
    rows[f * kStateRow + kScanSlice + 1] = s.top[f];
  }
}

/// Where the third kernel's tile `step` of a segment lies, and which pairs in it see each other.
struct ScanTile {
  std::int64_t row, column;  ///< indices of the first ones; without causality there are no columns
  bool pairs;
  bool rows_are_keys;
  const ScanHead& head;

  BASIN_DEVICE ScanTile(const RandomPass& p, const RandomCut& cut, const ScanHead& in,
                        std::int64_t segment, std::int64_t step)
      : pairs(p.causal), rows_are_keys(p.rows_are_keys), head(in) {
    const bool backwards = p.causal && p.rows_are_keys;
    const std::int64_t tile = backwards ? cut.tiles - 1 - step : step;
    const std::int64_t position = cut.start + (segment * cut.tiles + tile) * kScanRows;
    row = position - in.row_shift;
    column = position - in.column_shift;
  }
  BASIN_DEVICE bool sees(int i, int j) const {
    const bool ordered = rows_are_keys ? j >= i : j <= i;
    return ordered && head.has_row(row + i) && head.has_column(column + j);
  }
};

}  // namespace

}  // namespace basin::kernels

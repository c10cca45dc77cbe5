// What the kernels of sparsemax and entmax on a GPU share (retrieval_lists_forward.cu,
// _backward.cu). A block has a tile of rows of one side and passes over the other side as the
// kernels of softmax do, but of the scores it keeps only those pairs that may have a weight, in a
// list for each row: few, so that all that follows costs little. The 16 threads that share rows
// (tiles.cuh) share their lists, too, and fill them in the order of the columns, so that every sum
// has one order.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/association/gathered_walk.cuh"
#include "kernels/association/retrieval.h"
#include "kernels/association/row_weights.h"
#include "kernels/association/softmax_attention_forward.cuh"
#include "kernels/association/tiles.cuh"
#include "kernels/common/block_reduce.cuh"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/out_of_line.h"

namespace basin::kernels {

namespace {

// Blocks at work at a time; each has lists of its own and takes one tile of rows after the other.
constexpr std::int64_t kMostListBlocks = 528;

/// Where the pairs of a block's rows lie: in memory, because the second-level cache holds what is
/// used of it and shared memory would hold a fourth.
template <class T>
struct PairLists {
  static constexpr int kRoom = 384;  ///< of a row

  T* scores;
  T* gains;  ///< of a backward pass
  std::int32_t* numbers;

  BASIN_HOST_DEVICE static std::int64_t bytes_of_block(std::int64_t rows) {
    return rows * kRoom * static_cast<std::int64_t>(2 * sizeof(T) + sizeof(std::int32_t));
  }
  BASIN_DEVICE PairLists(void* memory, std::int64_t block, std::int64_t rows) {
    scores = reinterpret_cast<T*>(static_cast<char*>(memory) + block * bytes_of_block(rows));
    gains = scores + rows * kRoom;
    numbers = reinterpret_cast<std::int32_t*>(gains + rows * kRoom);
  }
};

/// What a block knows of its rows, in shared memory.
template <class T, int kRows>
struct RowStates {
  static constexpr std::size_t kBytes = kRows * (sizeof(double) + 2 * sizeof(T) + 2 * sizeof(int));

  double* tau;      ///< in units of (alpha - 1) score, below `largest`
  T* largest;       ///< score
  T* bound;         ///< scores that are not above it have no weight
  int* count;       ///< of pairs in the list
  int* overflowed;  ///< 1: more pairs than fit

  BASIN_DEVICE explicit RowStates(void* memory)
      : tau(static_cast<double*>(memory)),
        largest(reinterpret_cast<T*>(tau + kRows)),
        bound(largest + kRows),
        count(reinterpret_cast<int*>(bound + kRows)),
        overflowed(count + kRows) {}

  BASIN_DEVICE bool any_overflowed() const {
    int any = 0;
    for (int row = static_cast<int>(threadIdx.x); row < kRows; row += kTileThreads) {
      any += overflowed[row];
    }
    return block_reduce<Sum>(any) > 0;
  }
};

/// power() of row_weights.h, once for all who call it: logarithms in f64 are long.
BASIN_OUT_OF_LINE BASIN_DEVICE double raised(double x, double p) { return power(x, p); }

/// The exponent 1 / (alpha - 1) of weights and the scale alpha - 1 of scores; valid only for
/// exponents in (1, 2].
struct SparseRule {
  double alpha, power;
  bool valid;

  BASIN_DEVICE explicit SparseRule(const HeadRule& rule)
      : alpha(rule.alpha),
        power(rule.kind == Separation::sparsemax ? 1.0 : 1 / (rule.alpha - 1)),
        valid(rule.alpha > 1 && rule.alpha <= 2) {}

  template <class T>
  BASIN_DEVICE T scale() const {
    return static_cast<T>(alpha - 1);
  }
  /// As row_weights() has it: of a score below the largest, in the type of the scores.
  template <class T>
  BASIN_DEVICE double scaled(T score, T largest) const {
    return static_cast<double>(scale<T>() * (score - largest));
  }
  BASIN_DEVICE double weight(double above) const { return above > 0 ? raised(above, power) : 0.0; }
  /// P^(2 - alpha), the derivative of a weight: 0 where that is 0, NaN where it is NaN.
  BASIN_DEVICE double slope(double weight) const {
    if (alpha == 2.0) {
      return weight > 0 ? 1.0 : weight;
    }
    return alpha == 1.5 ? std::sqrt(weight) : raised(weight, 2 - alpha);
  }
};

/// The 16 bits of the threads that share this one's rows.
BASIN_DEVICE inline unsigned ballot_of_row(bool vote) {
  const unsigned all = __ballot_sync(kAllLanes, vote ? 1 : 0);
  return (all >> (threadIdx.x / kAcross % 2 * kAcross)) & 0xFFFFu;
}
BASIN_DEVICE inline int votes_before(unsigned votes) {
  return __popc(votes & ((1u << tile_x()) - 1u));
}
/// The larger of the counts of the warp's two rows, so that both can take the same steps.
BASIN_DEVICE inline int most_of_warp(int count) {
  const int other = __shfl_xor_sync(kAllLanes, count, kAcross);
  return count < other ? other : count;
}

/// One row of those that the block's threads share. Whole warps call its functions, which of the
/// two rows of a warp do no more than is asked for.
template <class T>
struct ListedRow {
  T* scores;
  T* gains;
  std::int32_t* numbers;

  BASIN_DEVICE ListedRow(const PairLists<T>& lists, int row)
      : scores(lists.scores + row * PairLists<T>::kRoom),
        gains(lists.gains + row * PairLists<T>::kRoom),
        numbers(lists.numbers + row * PairLists<T>::kRoom) {}

  /// Appends the columns of a tile that pass (bit c of `passes`: column c) and returns how many
  /// there are then.
  template <int kC>
  BASIN_DEVICE int append(int count, unsigned passes, const T (&score)[kC],
                          const std::int32_t (&number)[kC]) const {
    if (__any_sync(kAllLanes, passes != 0 ? 1 : 0) == 0) {
      return count;
    }
    BASIN_UNROLL
    for (int c = 0; c < kC; ++c) {
      const bool pass = ((passes >> c) & 1u) != 0;
      const unsigned votes = ballot_of_row(pass);
      if (pass) {
        scores[count + votes_before(votes)] = score[c];
        numbers[count + votes_before(votes)] = number[c];
      }
      count += __popc(votes);
    }
    return count;
  }

  /// Keeps the pairs whose score is above `bound`, in order.
  BASIN_DEVICE int compact(int count, T bound) const {
    int kept = 0;
    const int most = most_of_warp(count);
    for (int first = 0; first < most; first += kAcross) {
      const int n = first + tile_x();
      const T score = n < count ? scores[n] : T(0);
      const std::int32_t number = n < count ? numbers[n] : 0;
      const bool keeps = n < count && score > bound;
      const unsigned votes = ballot_of_row(keeps);
      __syncwarp();  // all have read; the votes do not order memory
      if (keeps) {
        scores[kept + votes_before(votes)] = score;
        numbers[kept + votes_before(votes)] = number;
      }
      kept += __popc(votes);
      __syncwarp();
    }
    return kept;
  }

  /// solve_tau() of row_weights.h for the scores of the list, if `wanted`.
  BASIN_DEVICE double root(int count, const SparseRule& rule, T largest, double start,
                           bool wanted) const {
    constexpr int kMostSteps = 100;
    double tau = start;
    int falls = 0;
    bool done = !wanted;
    for (int step = 0; step < kMostSteps && __all_sync(kAllLanes, done ? 1 : 0) == 0; ++step) {
      double sum = 0;    // of x^p
      double slope = 0;  // of x^(p - 1)
      for (int n = tile_x(); n < count && !done; n += kAcross) {
        const double x = rule.scaled(scores[n], largest) - tau;
        if (x > 0) {
          const double lower = raised(x, rule.power - 1);
          slope += lower;
          sum += lower * x;
        }
      }
      sum = over_row<Sum>(sum);
      slope = over_row<Sum>(slope);
      if (!done) {
        done = newton_step(rule, sum, slope, tau, falls);
      }
    }
    return tau;
  }

  /// One step from `tau`; true if it was the last.
  BASIN_DEVICE static bool newton_step(const SparseRule& rule, double sum, double slope,
                                       double& tau, int& falls) {
    const double p = rule.power;
    const double norm = p == 1.0 ? sum : (p == 2.0 ? std::sqrt(sum) : raised(sum, 1 / p));
    const double next = tau + (norm - 1) * raised(norm, p - 1) / slope;
    falls += next > tau ? 0 : 1;
    if (next == tau || next != next) {
      return true;
    }
    tau = next;
    return falls == 2;
  }
};

/// Row `number` of `view`, the columns that this thread has of it (column_of<kWidth>()).
template <int kWidth, class T>
BASIN_DEVICE void read_columns(const T* row, std::int64_t width, T (&numbers)[kWidth / kAcross]) {
  constexpr int run = kRun<kWidth>;
  BASIN_UNROLL
  for (int first = 0; first < kWidth / kAcross; first += run) {
    const int column = column_of<kWidth>(first);
    T part[run];
    load_run(row + column, width - column, part);
    BASIN_UNROLL
    for (int c = 0; c < run; ++c) {
      numbers[first + c] = part[c];
    }
  }
}

/// row = scale * numbers, or row += with `adds`.
template <int kWidth, class T>
BASIN_DEVICE void write_columns(T* row, std::int64_t width, T scale, bool adds,
                                const T (&numbers)[kWidth / kAcross]) {
  constexpr int run = kRun<kWidth>;
  BASIN_UNROLL
  for (int first = 0; first < kWidth / kAcross; first += run) {
    const int column = column_of<kWidth>(first);
    T part[run] = {};
    if (adds) {
      load_run(row + column, width - column, part);
    }
    BASIN_UNROLL
    for (int c = 0; c < run; ++c) {
      part[c] += scale * numbers[first + c];
    }
    store_run(row + column, width - column, part);
  }
}

template <int kWidth, class T>
BASIN_DEVICE T dot_columns(const T (&a)[kWidth / kAcross], const T (&b)[kWidth / kAcross]) {
  T sum = 0;
  BASIN_UNROLL
  for (int at = 0; at < kWidth / kAcross; ++at) {
    sum += a[at] * b[at];
  }
  return sum;
}

/// What a walk that gathers asks a problem for.
struct Extents {
  std::int64_t L, M;

  template <class P>
  BASIN_DEVICE explicit Extents(const P& p) : L(p.visibility.L), M(p.visibility.M) {}
};

/// Tiles of 64 x 64 scores or fewer, as softmax has them.
template <class T, int kWidth>
struct ListTile : ForwardTile<T, kWidth, false> {
  using Base = ForwardTile<T, kWidth, false>;
  using States = RowStates<T, Base::kQueries>;
  static_assert(Base::kR * Base::kC <= 32);  // bits of a word
  static constexpr std::size_t kTiles =
      sizeof(T) * (Base::kQueries + Base::kKeys) * static_cast<std::size_t>(Base::kRow);
  static constexpr std::size_t kBytes = kTiles + States::kBytes;
};

/// Calls visit(scores, seen, numbers) for every tile of columns that some row of the walk sees:
/// bit r kC + c of `seen` says whether row r of this thread sees its column c, the number of which
/// is numbers[c]. Meanwhile the next columns arrive.
template <class T, int kWidth, class Walk, class Visit>
BASIN_DEVICE void for_each_tile(Walk& walk, T* rows, T* columns, const HeadView& of_rows,
                                const HeadView& of_columns, std::int64_t b, std::int64_t h,
                                std::int64_t D, bool wide, Visit&& visit) {
  using Tile = ListTile<T, kWidth>;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  const T* const from = of_columns.head<T>(b, h);
  unsigned exist = 0;  // rows
  BASIN_UNROLL
  for (int r = 0; r < kR; ++r) {
    exist |= walk.row(tile_y() + r * kDown) < 0 ? 0u : ((1u << kC) - 1u) << (r * kC);
  }
  // One place of each call, since all of it is inlined.
  T scores[kR][kC];
  std::int32_t numbers[kC];
  unsigned seen = 0;
  bool first = true;
  BASIN_ROLL
  while (true) {
    const bool more = walk.advance();
    if (more && first) {
      walk.template load_rows<kWidth>(rows, static_cast<const T*>(of_rows.head<T>(b, h)),
                                      of_rows.row_stride, D, wide);
    }
    if (more) {
      walk.template load_columns<kWidth>(columns, from, of_columns.row_stride, D, wide);
      copy_async_commit();
    }
    if (!first) {
      visit(scores, seen, numbers);
    }
    if (!more) {
      break;
    }
    first = false;
    copy_async_wait<0>();
    __syncthreads();
    BASIN_UNROLL
    for (int r = 0; r < kR; ++r) {
      BASIN_UNROLL
      for (T& score : scores[r]) {
        score = 0;
      }
    }
    inner_products<kWidth>(rows, columns, scores);
    const auto sight = walk.sight();
    seen = exist;
    BASIN_UNROLL
    for (int c = 0; c < kC; ++c) {
      numbers[c] = static_cast<std::int32_t>(walk.column(tile_x() + c * kAcross));
      BASIN_UNROLL
      for (int r = 0; r < kR; ++r) {
        seen &= !sight.partial || sight.takes_part(r, c) ? ~0u : ~(1u << (r * kC + c));
      }
    }
    __syncthreads();  // these columns and their numbers have been used
  }
  __syncthreads();
}

}  // namespace

}  // namespace basin::kernels

// Variant 2 of retrieval on a GPU: sparsemax and entmax by lists (retrieval_lists.h has the idea,
// retrieval_lists.cuh what is shared). A score above largest - 1 / (alpha - 1) may have a weight;
// where a row's list becomes full, the root of what is in it says more. A row whose root leaves
// more than fits (nearly uniform weights) is solved by passes over its scores instead: a step of
// Newton's method in each, and a last pass that reads.
#include <algorithm>

#include "kernels/association/device_width.h"
#include "kernels/association/retrieval_lists.cuh"
#include "kernels/association/retrieval_lists.h"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"

namespace basin::kernels {

namespace {

/// The root of a part is found in double and rounded; a bound leaves room for that.
constexpr double kSlack = 1e-6;
constexpr int kMostSteps = 100;  ///< of Newton's method

/// What a pass over the tiles is for.
enum class Phase : std::uint8_t { list, root, read };

/// `tiles`: of queries, in each head; `items`: of all heads. `wide`: q and k can be copied 16 bytes
/// at a time.
template <class T, int kWidth>
BASIN_KERNEL void lists_forward_kernel(RetrievalForward p, GatheredRule rule, std::int64_t tiles,
                                       std::int64_t items, bool wide) {
  using Tile = ListTile<T, kWidth>;
  using Walk = GatheredRule::Walk<Side::queries, Tile::kQueries, Tile::kKeys>;
  using States = typename Tile::States;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  constexpr int kFull = PairLists<T>::kRoom - Tile::kKeys;  // above it a tile may not fit any more
  T* const q_tile = dynamic_shared<T>();
  T* const k_tile = q_tile + Tile::kQueries * Tile::kRow;
  char* const behind = reinterpret_cast<char*>(q_tile) + Tile::kTiles;
  const States rows(behind);
  const PairLists<T> lists(p.workspace, blockIdx.x, Tile::kQueries);
  const T nan = std::numeric_limits<T>::quiet_NaN();

  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const std::int64_t head = item / tiles;
    const std::int64_t b = head / p.H;
    const std::int64_t h = head % p.H;
    // The last tile first: of a causal head it takes the longest.
    const std::int64_t query = (tiles - 1 - item % tiles) * Tile::kQueries;
    const SparseRule weights(head_rule<T>(p.separation, h));
    const T scale = weights.template scale<T>();
    const T beta = static_cast<const T*>(p.beta)[h];
    const T* const v = p.v.head<T>(b, h);
    T* const out = p.out.head<T>(b, h);
    for (int row = static_cast<int>(threadIdx.x); row < Tile::kQueries; row += kTileThreads) {
      rows.largest[row] = rows.bound[row] = Maximum::identity<T>();
      rows.tau[row] = -1;
      rows.count[row] = rows.overflowed[row] = 0;
    }
    __syncthreads();

    unsigned seen_any = 0;  // bit r: this thread's row r sees a key among this thread's columns
    // Whoever writes what a row's threads share is one of them: they wait for their warp alone.
    const auto writes = [] { return tile_x() == 0; };

    // A row whose list is full: the root of the list is a better bound.
    const auto tighten = [&](int row) {
      const ListedRow<T> list(lists, row);
      const int count = rows.count[row];
      const bool full = count > kFull;
      if (__any_sync(kAllLanes, full ? 1 : 0) == 0) {
        return;
      }
      const T largest = rows.largest[row];
      const double tau = list.root(count, weights, largest, -1.0, full);
      const T bound = largest + static_cast<T>((tau - kSlack) / static_cast<double>(scale));
      const int left = list.compact(full ? count : 0, bound);
      __syncwarp();
      if (full && writes()) {
        rows.bound[row] = bound < rows.bound[row] ? rows.bound[row] : bound;
        rows.overflowed[row] = left > kFull ? 1 : 0;
        rows.count[row] = left > kFull ? 0 : left;
      }
      __syncwarp();
    };

    // Adds what the row's list holds to its output, or begins it.
    const auto read = [&](int row, int count, bool adds) {
      const ListedRow<T> list(lists, row);
      const T largest = rows.largest[row];
      const double tau = rows.tau[row];
      for (int n = tile_x(); n < count; n += kAcross) {
        list.scores[n] =
            static_cast<T>(weights.weight(weights.scaled(list.scores[n], largest) - tau));
      }
      __syncwarp();
      T sums[kWidth / kAcross] = {};
      for (int n = 0; n < count; ++n) {
        const T weight = list.scores[n];
        if (weight == T(0)) {
          continue;
        }
        T values[kWidth / kAcross];
        read_columns<kWidth>(v + list.numbers[n] * p.v.row_stride, p.Dv, values);
        BASIN_UNROLL
        for (int at = 0; at < kWidth / kAcross; ++at) {
          sums[at] += weight * values[at];
        }
      }
      const std::int64_t i = query + row;
      if (i < p.visibility.L) {
        write_columns<kWidth>(out + i * p.out.row_stride, p.Dv, T(1), adds, sums);
      }
      __syncwarp();
    };

    // A list that is full, or the last one, of a row of which there are several.
    const auto drain = [&](int row, bool wanted) {
      const int count = rows.count[row];
      if (__any_sync(kAllLanes, wanted ? 1 : 0) != 0) {
        read(row, wanted ? count : 0, true);
        if (wanted && writes()) {
          rows.count[row] = 0;
        }
        __syncwarp();
      }
    };
    // The root of every row that has a list, what it reads, and the statistics of all.
    const auto finish = [&](int row, bool sees) {
      const std::int64_t i = query + row;
      const T largest = rows.largest[row];
      const bool is_number = weights.valid && largest < T(INFINITY) && largest > -T(INFINITY);
      const bool listed = rows.overflowed[row] == 0;
      const bool solves = sees && is_number && listed;
      const double tau =
          ListedRow<T>(lists, row).root(rows.count[row], weights, largest, -1.0, solves);
      __syncwarp();
      if (writes()) {
        rows.tau[row] = listed ? tau : -1.0;
        rows.overflowed[row] = !listed && is_number ? 1 : 0;
      }
      __syncwarp();
      read(row, solves ? rows.count[row] : 0, false);
      if (sees && !is_number && i < p.visibility.L) {
        T numbers[kWidth / kAcross];
        BASIN_UNROLL
        for (T& number : numbers) {
          number = nan;
        }
        write_columns<kWidth>(out + i * p.out.row_stride, p.Dv, T(1), false, numbers);
      }
      if (i < p.visibility.L && writes()) {
        T* const to = static_cast<T*>(p.statistics) + 3 * (head * p.visibility.L + i);
        to[0] = largest;
        to[1] = !sees ? T(0) : (is_number ? static_cast<T>(tau) : nan);
        to[2] = -T(INFINITY);
        if (p.steps != nullptr) {
          p.steps[head * p.visibility.L + i] = 1;
        }
      }
    };
    // Of rows without a list, a step of Newton's method is summed up where their lists would be:
    // two doubles.
    const auto sums_of = [&](int row) {
      return reinterpret_cast<double*>(lists.gains + row * PairLists<T>::kRoom);
    };
    unsigned falls = 0;  // two bits for each row of this thread
    unsigned done = 0;
    const auto step_of_newton = [&](int row, int r) {
      double tau = rows.tau[row];
      int fallen = static_cast<int>((falls >> (2 * r)) & 3u);
      const double* const sums = sums_of(row);
      const bool last = ListedRow<T>::newton_step(weights, sums[0], sums[1], tau, fallen);
      falls = (falls & ~(3u << (2 * r))) | (static_cast<unsigned>(fallen) << (2 * r));
      done |= last ? 1u << r : 0u;
      rows.tau[row] = tau;
    };

    // The first pass fills lists. If some are too short, passes follow that find the roots of those
    // rows, and a last one that reads.
    Phase phase = Phase::list;
    BASIN_ROLL
    for (int pass = 0;; ++pass) {
      Walk walk(rule, Extents(p), b, h, query, behind + States::kBytes);
      for_each_tile<T, kWidth>(
          walk, q_tile, k_tile, p.q, p.k, b, h, p.D, wide,
          [&](T(&scores)[kR][kC], unsigned seen, const std::int32_t(&numbers)[kC]) {
            int most = 0;
            BASIN_UNROLL
            for (int r = 0; r < kR; ++r) {
              const int row = tile_y() + r * kDown;
              const unsigned counted = (seen >> (r * kC)) & ((1u << kC) - 1u);
              T largest = rows.largest[row];
              T bound = rows.bound[row];
              const bool overflowed = rows.overflowed[row] != 0;
              const int count = rows.count[row];
              const double tau = rows.tau[row];
              BASIN_UNROLL
              for (T& score : scores[r]) {
                score *= beta;
              }
              unsigned passes = 0;
              if (phase == Phase::list) {
                seen_any |= counted != 0 ? 1u << r : 0u;
                BASIN_UNROLL
                for (int c = 0; c < kC; ++c) {
                  largest =
                      ((counted >> c) & 1u) != 0 ? Maximum::of(largest, scores[r][c]) : largest;
                }
                largest = over_row<Maximum>(largest);
                bound = Maximum::of(bound, largest - T(1) / scale);
                BASIN_UNROLL
                for (int c = 0; c < kC; ++c) {
                  passes |= !overflowed && scores[r][c] > bound ? counted & (1u << c) : 0u;
                }
              } else {
                double sum = 0;
                double slope = 0;
                BASIN_UNROLL
                for (int c = 0; c < kC; ++c) {
                  const double x = weights.scaled(scores[r][c], largest) - tau;
                  if (overflowed && x > 0 && ((counted >> c) & 1u) != 0) {
                    passes |= phase == Phase::read ? 1u << c : 0u;
                    const double lower = phase == Phase::root ? raised(x, weights.power - 1) : 0.0;
                    slope += lower;
                    sum += lower * x;
                  }
                }
                if (phase == Phase::root) {
                  sum = over_row<Sum>(sum);
                  slope = over_row<Sum>(slope);
                  if (writes()) {
                    sums_of(row)[0] += sum;
                    sums_of(row)[1] += slope;
                  }
                }
              }
              const int grown = ListedRow<T>(lists, row).append(count, passes, scores[r], numbers);
              most = most < grown ? grown : most;
              __syncwarp();  // all have read
              if (writes()) {
                rows.largest[row] = largest;
                rows.bound[row] = bound;
                rows.count[row] = grown;
              }
            }
            __syncwarp();
            if (__any_sync(kAllLanes, most > kFull ? 1 : 0) == 0) {
              return;
            }
            BASIN_ROLL
            for (int r = 0; r < kR; ++r) {
              const int row = tile_y() + r * kDown;
              if (phase == Phase::list) {
                tighten(row);
              } else {
                drain(row, rows.count[row] > kFull);
              }
            }
          });
      int left = 0;  // rows whose root is not yet known
      BASIN_ROLL
      for (int r = 0; r < kR; ++r) {
        const int row = tile_y() + r * kDown;
        if (phase == Phase::list) {
          finish(row, over_row<Maximum>(((seen_any >> r) & 1u) != 0 ? 1 : 0) > 0);
        } else if (phase == Phase::read) {
          drain(row, rows.overflowed[row] != 0);
          if (rows.overflowed[row] != 0 && writes()) {
            T* const to = static_cast<T*>(p.statistics) + 3 * (head * p.visibility.L + query + row);
            to[1] = static_cast<T>(rows.tau[row]);
          }
        } else if (writes() && rows.overflowed[row] != 0 && ((done >> r) & 1u) == 0) {
          step_of_newton(row, r);
        }
        if (writes() && phase != Phase::read) {
          left += rows.overflowed[row] != 0 && ((done >> r) & 1u) == 0 ? 1 : 0;
          rows.count[row] = 0;
          sums_of(row)[0] = sums_of(row)[1] = 0;
        }
      }
      __syncthreads();
      const bool all_listed = phase == Phase::list && !rows.any_overflowed();
      if (all_listed || phase == Phase::read) {
        break;
      }
      const bool solved = block_reduce<Sum>(left) == 0 || pass == kMostSteps;
      phase = solved ? Phase::read : Phase::root;
    }
  }
}

template <class F>
Status dispatch(const RetrievalForward& p, F&& function) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv), [&]<int kWidth>() {
      return function.template operator()<T, kWidth>();
    });
  });
}

template <class Tile>
std::int64_t items_of(const RetrievalForward& p) {
  return p.B * p.H * pieces_of(p.visibility.L, Tile::kQueries);
}

}  // namespace

std::int64_t retrieval_lists_forward_workspace(const RetrievalForward& p, const DeviceContext&) {
  std::int64_t bytes = 0;
  dispatch(p, [&]<class T, int kWidth>() {
    using Tile = ListTile<T, kWidth>;
    bytes =
        std::min(kMostListBlocks, items_of<Tile>(p)) * PairLists<T>::bytes_of_block(Tile::kQueries);
    return Status{};
  });
  return bytes;
}

Status retrieval_lists_forward(const RetrievalForward& p, const DeviceContext& context) {
  if (p.B == 0 || p.H == 0 || p.visibility.L == 0) {
    return {};
  }
  GatheredRule rule;
  rule.seen = p.visibility;
  return dispatch(p, [&]<class T, int kWidth>() {
    using Tile = ListTile<T, kWidth>;
    using Walk = GatheredRule::Walk<Side::queries, Tile::kQueries, Tile::kKeys>;
    const std::int64_t items = items_of<Tile>(p);
    const LaunchShape shape{"retrieval_lists_forward",
                            {static_cast<unsigned>(std::min(kMostListBlocks, items)), 1, 1},
                            {kTileThreads, 1, 1},
                            Tile::kBytes + Walk::bytes(rule)};
    const bool wide = copies_wide(p.q, sizeof(T)) && copies_wide(p.k, sizeof(T));
    return launch(shape, context, lists_forward_kernel<T, kWidth>, p, rule,
                  pieces_of(p.visibility.L, Tile::kQueries), items, wide);
  });
}

}  // namespace basin::kernels

// retrieval_thresholds.h has the idea. A block has a tile of queries; of each it knows two numbers,
// between which the threshold certainly lies, and two nearer ones, between which it looks for it in
// this pass. The 16 threads that share a row (tiles.cuh) share its list, too.
#include "kernels/association/retrieval_thresholds.h"

#include <cmath>

#include "kernels/association/device_width.h"
#include "kernels/association/ordered_bits.cuh"
#include "kernels/association/retrieval_lists.cuh"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"

namespace basin::kernels {

namespace {

constexpr std::int64_t kMostBlocks = 264;     // two on each multiprocessor of a large card
constexpr std::int64_t kListedAtOnce = 1024;  // so many keys are all listed
constexpr std::int64_t kMostListed = 2048;
constexpr std::int64_t kSmallestSample = 256;
constexpr int kGuesses = 4;  // passes; behind them each halves what is left, whatever the scores

/// Room of a row's list where a tile of queries looks at `keys`.
std::int64_t room_for(std::int64_t keys) {
  const std::int64_t wanted = keys <= kListedAtOnce
                                  ? std::max<std::int64_t>(keys, 1)
                                  : std::clamp(keys / 8, kListedAtOnce, kMostListed);
  return pieces_of(wanted, 64) * 64;
}

/// The most keys that a tile of 64 queries looks at.
std::int64_t most_candidates(const Visibility& seen) {
  if (!seen.has_window() || seen.global_tokens > 0) {
    return seen.M;
  }
  return std::min(seen.M, 2 * seen.reach() + 64);
}

/// What a block knows of its rows, in shared memory.
template <class T, int kRows>
struct RowSearches {
  using Bits = typename Ordered<T>::Bits;
  static constexpr std::size_t kBytes = kRows * (4 * sizeof(Bits) + 4 * sizeof(unsigned));

  Bits *low, *high;    ///< the threshold lies between them
  Bits *first, *last;  ///< scores in between are listed in this pass
  unsigned* listed;    ///< how many; those that fit stand in the list
  unsigned* above;     ///< scores above `last`
  unsigned* visible;   ///< all scores
  int* open;           ///< 1: the threshold is not yet known

  BASIN_DEVICE explicit RowSearches(void* memory)
      : low(static_cast<Bits*>(memory)),
        high(low + kRows),
        first(high + kRows),
        last(first + kRows),
        listed(reinterpret_cast<unsigned*>(last + kRows)),
        above(listed + kRows),
        visible(above + kRows),
        open(reinterpret_cast<int*>(visible + kRows)) {}

  BASIN_DEVICE bool any_open() const {
    int any = 0;
    for (int row = static_cast<int>(threadIdx.x); row < kRows; row += kTileThreads) {
      any += open[row];
    }
    return block_reduce<Sum>(any) > 0;
  }
};

/// The list of a row. Whole warps call its functions, which of the two rows of a warp do what is
/// wanted.
template <class T>
struct ScoreList {
  using Order = Ordered<T>;
  using Bits = typename Order::Bits;
  Bits* scores;
  unsigned count;

  /// A number that `least` to `most` of the list are not below. If ties leave none: the largest
  /// that at least `least` are not below.
  BASIN_DEVICE Bits cut(unsigned least, unsigned most, bool wanted) const {
    const unsigned past = wanted ? count : 0;
    Bits low = Order::kMost;
    Bits high = 0;
    for (unsigned n = static_cast<unsigned>(tile_x()); n < past; n += kAcross) {
      const Bits score = scores[n];
      low = score < low ? score : low;
      high = score > high ? score : high;
    }
    for (int distance = kAcross / 2; distance > 0; distance /= 2) {
      const Bits lower = __shfl_xor_sync(kAllLanes, low, distance);
      const Bits higher = __shfl_xor_sync(kAllLanes, high, distance);
      low = lower < low ? lower : low;
      high = higher > high ? higher : high;
    }
    bool done = !(low < high);
    BASIN_ROLL
    while (__all_sync(kAllLanes, done ? 1 : 0) == 0) {
      const Bits middle = low + (high - low) / 2 + ((high - low) & 1);
      unsigned found = 0;
      for (unsigned n = static_cast<unsigned>(tile_x()); n < past && !done; n += kAcross) {
        found += scores[n] >= middle ? 1 : 0;
      }
      found = over_row<Sum>(found);
      if (!done && found >= least) {
        low = middle;
        done = found <= most || low == high;
      } else if (!done) {
        high = middle - 1;
        done = low == high;
      }
    }
    return low;
  }

  /// The rank-th largest.
  BASIN_DEVICE Bits largest(unsigned rank, bool wanted) const {
    const Bits bound = cut(rank, rank, wanted);
    Bits least = Order::kMost;
    for (unsigned n = static_cast<unsigned>(tile_x()); n < (wanted ? count : 0); n += kAcross) {
      const Bits score = scores[n];
      least = score >= bound && score < least ? score : least;
    }
    for (int distance = kAcross / 2; distance > 0; distance /= 2) {
      const Bits other = __shfl_xor_sync(kAllLanes, least, distance);
      least = other < least ? other : least;
    }
    return least;
  }

  /// Numbers `first` and `last` that the threshold very likely lies between if the list is a sample
  /// in which it would be the rank-th largest; they stay where a bound is not in the list.
  BASIN_DEVICE void narrow(float rank, bool wanted, Bits& first, Bits& last) const {
    constexpr float kDeviations = 3.7f;  // one bound in 10^4 is wrong
    const auto all = static_cast<float>(count);
    const float share = rank < all ? rank / all : 1.0f;
    const float margin = 2 + kDeviations * std::sqrt(all * share * (1 - share));
    const float upper = share * all - margin;
    const float lower = share * all + margin;
    const bool has_last = wanted && upper >= 1;
    const bool has_first = wanted && lower + 1 <= all;
    const auto most = static_cast<unsigned>(has_last ? upper : 1.0f);
    const auto some = static_cast<unsigned>(margin / 4);
    const Bits new_last = cut(most > some ? most - some : 1, most, has_last);
    const unsigned least = has_first ? static_cast<unsigned>(lower) + 1 : 1;
    const Bits new_first = cut(least, least + some, has_first);
    last = has_last ? new_last : last;
    first = has_first ? new_first : first;
  }
};

/// `tiles`: of queries, in each head; `items`: of all heads. `room`: of a row's list. `wide`: q and
/// k can be copied 16 bytes at a time.
template <class T, int kWidth>
BASIN_KERNEL void retrieval_thresholds_kernel(RetrievalThresholds p, GatheredRule rule,
                                              std::int64_t room, std::int64_t tiles,
                                              std::int64_t items, bool wide) {
  using Tile = ListTile<T, kWidth>;
  using Walk = GatheredWalk<Side::queries, Tile::kQueries, Tile::kKeys, false, true>;
  using Searches = RowSearches<T, Tile::kQueries>;
  using Order = Ordered<T>;
  using Bits = typename Order::Bits;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  T* const q_tile = dynamic_shared<T>();
  T* const k_tile = q_tile + Tile::kQueries * Tile::kRow;
  char* const behind = reinterpret_cast<char*>(q_tile) + Tile::kTiles;
  const Searches rows(behind);
  Bits* const lists = static_cast<Bits*>(p.workspace) + blockIdx.x * Tile::kQueries * room;
  const auto fitting = static_cast<unsigned>(room);

  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const std::int64_t head = item / tiles;
    const std::int64_t b = head / p.H;
    const std::int64_t h = head % p.H;
    // The last tile first: of a causal head it takes the longest.
    const std::int64_t query = (tiles - 1 - item % tiles) * Tile::kQueries;
    const std::int64_t L = p.visibility.L;
    const T beta = static_cast<const T*>(p.beta)[h];
    const auto wanted = static_cast<unsigned>(p.visibility.top_count(b));
    const auto set_threshold = [&](int row, T threshold) {
      static_cast<T*>(p.thresholds)[(head * L + query + row) * p.stride] = threshold;
    };

    for (int row = static_cast<int>(threadIdx.x); row < Tile::kQueries; row += kTileThreads) {
      const std::int64_t i = query + row;
      rows.low[row] = rows.first[row] = 0;
      rows.high[row] = rows.last[row] = Order::kMost;
      rows.listed[row] = 0;
      bool keeps_all = i < L && p.visibility.prefix(b, i) <= static_cast<std::int64_t>(wanted);
      if (i < L && p.statistics != nullptr) {
        // Scores made in another way are a few roundings off.
        const T* const from = static_cast<const T*>(p.statistics) + 3 * (head * L + i);
        const T margin = (std::abs(from[0]) + std::abs(from[2])) * T(1.5e-5);
        keeps_all = keeps_all || from[2] == -T(INFINITY);
        if (margin < T(INFINITY)) {
          rows.first[row] = Order::of(from[2] - margin);
          rows.last[row] = Order::of(from[2] + margin);
        }
      }
      rows.open[row] = i < L && !keeps_all ? 1 : 0;
      if (keeps_all) {
        set_threshold(row, -T(INFINITY));
      }
    }
    __syncthreads();

    BASIN_ROLL
    for (int pass = 0; rows.any_open(); ++pass) {
      Walk walk(rule, Extents(p), b, h, query, behind + Searches::kBytes);
      const std::int64_t candidates = walk.candidates();
      const bool samples = pass == 0 && p.statistics == nullptr && candidates > room;
      const std::int64_t most = room / 2 < candidates / 8 ? room / 2 : candidates / 8;
      const std::int64_t sample = most < kSmallestSample ? kSmallestSample : most;
      const std::uint64_t below = samples
                                      ? static_cast<std::uint64_t>(sample) * Visibility::kKeepAll /
                                            static_cast<std::uint64_t>(candidates)
                                      : Visibility::kKeepAll;
      walk.sample(below);
      unsigned visible[kR] = {};
      unsigned above[kR] = {};
      unsigned nans = 0;  // bit r: a score of row r is NaN
      for_each_tile<T, kWidth>(
          walk, q_tile, k_tile, p.q, p.k, b, h, p.D, wide,
          [&](const T(&products)[kR][kC], unsigned seen, const std::int32_t(&)[kC]) {
            BASIN_UNROLL
            for (int r = 0; r < kR; ++r) {
              const int row = tile_y() + r * kDown;
              const Bits first = rows.first[row];
              const Bits last = rows.last[row];
              const bool open = rows.open[row] != 0;
              unsigned count = rows.listed[row];
              Bits scores[kC];
              unsigned passes = 0;
              BASIN_UNROLL
              for (int c = 0; c < kC; ++c) {
                const T score = beta * products[r][c];
                scores[c] = Order::of(score);
                const bool counts = ((seen >> (r * kC + c)) & 1u) != 0;
                visible[r] += counts ? 1 : 0;
                above[r] += counts && scores[c] > last ? 1 : 0;
                nans |= counts && score != score ? 1u << r : 0u;
                const bool between = scores[c] >= first && scores[c] <= last;
                passes |= open && counts && between ? 1u << c : 0u;
              }
              if (__any_sync(kAllLanes, passes != 0 ? 1 : 0) == 0) {
                continue;
              }
              BASIN_UNROLL
              for (int c = 0; c < kC; ++c) {
                const bool listed = ((passes >> c) & 1u) != 0;
                const unsigned votes = ballot_of_row(listed);
                const unsigned at = count + static_cast<unsigned>(votes_before(votes));
                if (listed && at < fitting) {
                  lists[row * room + at] = scores[c];
                }
                count += static_cast<unsigned>(__popc(votes));
              }
              __syncwarp();  // all have read
              if (tile_x() == 0) {
                rows.listed[row] = count;
              }
            }
          });

      BASIN_UNROLL
      for (int r = 0; r < kR; ++r) {
        const int row = tile_y() + r * kDown;
        const unsigned all = over_row<Sum>(visible[r]);
        const unsigned larger = over_row<Sum>(above[r]);
        const bool nan = over_row<Sum>((nans >> r) & 1u) != 0;
        if (tile_x() == 0) {
          rows.visible[row] = nan ? 0 : all;  // nothing to leave out
          rows.above[row] = larger;
        }
      }
      __syncwarp();
      BASIN_ROLL
      for (int r = 0; r < kR; ++r) {
        const int row = tile_y() + r * kDown;
        const bool open = rows.open[row] != 0;
        const unsigned listed = rows.listed[row];
        const unsigned larger = rows.above[row];
        const ScoreList<T> list{lists + row * room, listed < fitting ? listed : fitting};
        Bits low = rows.low[row];
        Bits high = rows.high[row];
        Bits first = rows.first[row];
        Bits last = rows.last[row];
        bool keeps_all = false;
        bool hit = false;
        if (!samples) {
          keeps_all = open && rows.visible[row] <= wanted;
          const bool missed_above = larger >= wanted;
          hit = !missed_above && larger + listed >= wanted;
          low = hit ? first : (missed_above ? last + 1 : low);
          high = hit ? last : (missed_above ? high : first - 1);
          first = low;
          last = high;
        }
        const bool known = low == high;
        const bool solves = open && !keeps_all && hit && !known && listed <= fitting;
        const unsigned rank = hit ? wanted - larger : 1;  // in the list
        const Bits found = list.largest(rank, solves);    // by the whole warp
        const bool narrows = open && (samples || hit) && listed > 0;
        const float of_all = static_cast<float>(list.count) / static_cast<float>(listed);
        const float share = static_cast<float>(below) / static_cast<float>(Visibility::kKeepAll);
        list.narrow(static_cast<float>(samples ? wanted : rank) * (samples ? share : of_all),
                    narrows && !known && !solves, first, last);
        if (pass >= kGuesses) {
          first = low + (high - low) / 2 + 1;
          last = high;
        }
        const bool closes = open && (keeps_all || (!samples && known) || solves);
        __syncwarp();  // all have read
        if (tile_x() == 0) {
          rows.low[row] = low;
          rows.high[row] = high;
          rows.first[row] = first;
          rows.last[row] = last;
          rows.listed[row] = 0;
          if (closes) {
            rows.open[row] = 0;
            set_threshold(row, keeps_all ? -T(INFINITY) : Order::number(known ? low : found));
          }
        }
      }
      __syncthreads();
    }
  }
}

GatheredRule rule_of(const RetrievalThresholds& p) {
  GatheredRule rule;
  rule.seen = p.visibility;
  return rule;
}

/// Calls function.operator()<T, kWidth>() for the width that the loops of softmax have, so that
/// scores are the same to the bit.
template <class F>
Status dispatch(const RetrievalThresholds& p, F&& function) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv), [&]<int kWidth>() {
      return function.template operator()<T, kWidth>();
    });
  });
}

template <class Tile>
std::int64_t items_of(const RetrievalThresholds& p) {
  return p.B * p.H * pieces_of(p.visibility.L, Tile::kQueries);
}

}  // namespace

std::int64_t retrieval_thresholds_workspace(const RetrievalThresholds& p, const DeviceContext&) {
  std::int64_t bytes = 0;
  dispatch(p, [&]<class T, int kWidth>() {
    using Tile = ListTile<T, kWidth>;
    bytes = std::min(kMostBlocks, items_of<Tile>(p)) * Tile::kQueries *
            room_for(most_candidates(p.visibility)) * static_cast<std::int64_t>(sizeof(T));
    return Status{};
  });
  return bytes;
}

Status find_retrieval_thresholds(const char* name, const RetrievalThresholds& p,
                                 const DeviceContext& context) {
  if (p.B == 0 || p.H == 0 || p.visibility.L == 0) {
    return {};
  }
  const GatheredRule rule = rule_of(p);
  return dispatch(p, [&]<class T, int kWidth>() {
    using Tile = ListTile<T, kWidth>;
    using Walk = GatheredWalk<Side::queries, Tile::kQueries, Tile::kKeys, false, true>;
    const std::int64_t items = items_of<Tile>(p);
    const LaunchShape shape{
        name,
        {static_cast<unsigned>(std::min(kMostBlocks, items)), 1, 1},
        {kTileThreads, 1, 1},
        Tile::kTiles + RowSearches<T, Tile::kQueries>::kBytes + Walk::bytes(rule)};
    const bool wide = copies_wide(p.q, sizeof(T)) && copies_wide(p.k, sizeof(T));
    return launch(shape, context, retrieval_thresholds_kernel<T, kWidth>, p, rule,
                  room_for(most_candidates(p.visibility)),
                  pieces_of(p.visibility.L, Tile::kQueries), items, wide);
  });
}

}  // namespace basin::kernels

// The gradients of variant 2 of retrieval on a GPU. The level of the forward pass tells which pairs
// have a weight, so each side makes the scores once more and lists those: the queries' side for dq
// and what a query's slopes have in common, the keys' side for dk and dv. Formulas: retrieval.h.
#include <algorithm>

#include "kernels/association/device_width.h"
#include "kernels/association/retrieval_lists.cuh"
#include "kernels/association/retrieval_lists.h"
#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"

namespace basin::kernels {

namespace {

// What the queries' side adds up over the pairs of a row, with u = P^(2 - alpha) and g = dout . v.
enum RowSum { kU, kUG, kEntropy, kPG, kPLogG, kRowSums };

/// Where things lie in the workspace.
template <class T>
struct ListBackward {
  double *dbeta, *dalpha;  ///< a part of each tile of queries
  T* means;                ///< of each query, <u,g> / <u,1>
  void* lists;
  std::int64_t bytes;

  ListBackward(const RetrievalBackward& p, std::int64_t query_items, std::int64_t blocks,
               std::int64_t rows) {
    const auto whole = [](std::int64_t count) { return (count + 15) / 16 * 16; };
    const std::int64_t parts = whole(query_items * std::int64_t{sizeof(double)});
    const std::int64_t of_means =
        whole(p.B * p.H * p.visibility.L * static_cast<std::int64_t>(sizeof(T)));
    char* const begin = static_cast<char*>(p.workspace);
    dbeta = reinterpret_cast<double*>(begin);
    dalpha = reinterpret_cast<double*>(begin + parts);
    means = reinterpret_cast<T*>(begin + 2 * parts);
    lists = begin + 2 * parts + of_means;
    bytes = 2 * parts + of_means + blocks * PairLists<T>::bytes_of_block(rows);
  }
};

/// The score above tau, both in units of (alpha - 1) score; above 0 for a pair that has a weight,
/// and NaN where the query's level is, which makes weights and gradients of that row NaN.
template <class T>
BASIN_DEVICE double above_level(const SparseRule& rule, T score, T largest, T level) {
  return rule.scaled(score, largest) - static_cast<double>(level);
}

/// The queries' side. `tiles`: of queries, in each head; `items`: of all heads.
template <class T, int kWidth>
BASIN_KERNEL void lists_queries_kernel(RetrievalBackward p, GatheredRule rule, ListBackward<T> w,
                                       std::int64_t tiles, std::int64_t items, bool wide) {
  using Tile = ListTile<T, kWidth>;
  using Walk = GatheredRule::Walk<Side::queries, Tile::kQueries, Tile::kKeys>;
  using States = typename Tile::States;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  constexpr int kFull = PairLists<T>::kRoom - Tile::kKeys;
  T* const q_tile = dynamic_shared<T>();
  T* const k_tile = q_tile + Tile::kQueries * Tile::kRow;
  char* const behind = reinterpret_cast<char*>(q_tile) + Tile::kTiles;
  const States rows(behind);
  double* const all_sums = reinterpret_cast<double*>(behind + States::kBytes);
  char* const of_walk = reinterpret_cast<char*>(all_sums + Tile::kQueries * kRowSums);
  const PairLists<T> lists(w.lists, blockIdx.x, Tile::kQueries);
  const auto writes = [] { return tile_x() == 0; };

  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const std::int64_t head = item / tiles;
    const std::int64_t b = head / p.H;
    const std::int64_t h = head % p.H;
    const std::int64_t L = p.visibility.L;
    const std::int64_t query = (tiles - 1 - item % tiles) * Tile::kQueries;
    const SparseRule weights(head_rule<T>(p.separation, h));
    const bool learns_alpha = p.separation.kind == Separation::entmax;
    const T beta = static_cast<const T*>(p.beta)[h];
    const T* const q = p.q.head<T>(b, h);
    const T* const k = p.k.head<T>(b, h);
    const T* const v = p.v.head<T>(b, h);
    const T* const dout = p.dout.head<T>(b, h);
    T* const dq = p.dq.head<T>(b, h);
    double dbeta = 0;
    for (int row = static_cast<int>(threadIdx.x); row < Tile::kQueries; row += kTileThreads) {
      const bool there = query + row < L;
      const T* const from =
          static_cast<const T*>(p.statistics) + 3 * (head * L + (there ? query + row : 0));
      rows.largest[row] = from[0];
      rows.bound[row] = from[1];
      rows.count[row] = rows.overflowed[row] = 0;
      for (int n = 0; n < kRowSums; ++n) {
        all_sums[row * kRowSums + n] = 0;
      }
    }
    __syncthreads();

    // Pairs of a list: their weights in place of scores, their gains; and what is summed up.
    const auto weigh = [&](int row, int count) {
      const ListedRow<T> list(lists, row);
      const std::int64_t i = query + row < L ? query + row : L - 1;
      T own[kWidth / kAcross];
      read_columns<kWidth>(dout + i * p.dout.row_stride, p.Dv, own);
      const int most = most_of_warp(count);
      for (int n = 0; n < most; ++n) {
        T gain = 0;
        if (n < count) {
          T values[kWidth / kAcross];
          read_columns<kWidth>(v + list.numbers[n] * p.v.row_stride, p.Dv, values);
          gain = dot_columns<kWidth>(own, values);
        }
        gain = over_row<Sum>(gain);
        if (n < count && n % kAcross == tile_x()) {
          list.gains[n] = gain;
        }
      }
      const T largest = rows.largest[row];
      const T level = rows.bound[row];
      for (int n = tile_x(); n < count; n += kAcross) {
        const double weight = weights.weight(above_level(weights, list.scores[n], largest, level));
        list.scores[n] = level != level ? level : static_cast<T>(weight);
      }
      __syncwarp();
    };
    const auto add_sums = [&](int row, int count) {
      const ListedRow<T> list(lists, row);
      double sums[kRowSums] = {};
      for (int n = tile_x(); n < count; n += kAcross) {
        const double weight = static_cast<double>(list.scores[n]);
        const double gain = static_cast<double>(list.gains[n]);
        if (weight == 0) {
          continue;
        }
        const double u = weights.slope(weight);
        sums[kU] += u;
        sums[kUG] += u * gain;
        if (learns_alpha) {
          const double plog = weight * std::log(weight);
          sums[kEntropy] += plog;
          sums[kPG] += weight * gain;
          sums[kPLogG] += plog * gain;
        }
      }
      BASIN_UNROLL
      for (int n = 0; n < kRowSums; ++n) {
        const double sum = over_row<Sum>(sums[n]);
        if (writes()) {
          all_sums[row * kRowSums + n] += sum;
        }
      }
      __syncwarp();
    };
    const auto mean_of = [&](int row) {
      const double* const sums = all_sums + row * kRowSums;
      return sums[kU] == 0 ? 0.0 : sums[kUG] / sums[kU];
    };
    const auto add_dq = [&](int row, int count, bool adds) {
      const ListedRow<T> list(lists, row);
      const double mean = mean_of(row);
      for (int n = tile_x(); n < count; n += kAcross) {
        const double weight = static_cast<double>(list.scores[n]);
        list.gains[n] = weight == 0 ? T(0)
                                    : static_cast<T>(weights.slope(weight) *
                                                     (static_cast<double>(list.gains[n]) - mean));
      }
      __syncwarp();
      T sums[kWidth / kAcross] = {};
      for (int n = 0; n < count; ++n) {
        const T slope = list.gains[n];
        if (slope == T(0)) {
          continue;
        }
        T values[kWidth / kAcross];
        read_columns<kWidth>(k + list.numbers[n] * p.k.row_stride, p.D, values);
        BASIN_UNROLL
        for (int at = 0; at < kWidth / kAcross; ++at) {
          sums[at] += slope * values[at];
        }
      }
      const std::int64_t i = query + row;
      if (i < L) {
        write_columns<kWidth>(dq + i * p.dq.row_stride, p.D, beta, adds, sums);
        if (count > 0) {
          T own[kWidth / kAcross];
          read_columns<kWidth>(q + i * p.q.row_stride, p.D, own);
          BASIN_UNROLL
          for (int at = 0; at < kWidth / kAcross; ++at) {
            dbeta += static_cast<double>(own[at]) * static_cast<double>(sums[at]);
          }
        }
      }
      __syncwarp();
    };

    // The pairs of all rows. A second time for those of which there are more than fit: their mean
    // is known only then.
    BASIN_ROLL
    for (int pass = 0; pass < 2; ++pass) {
      const bool again = pass == 1;
      // Weights and gains of `count` pairs, and what becomes of them.
      const auto drain = [&](int row, int count, bool last) {
        weigh(row, count);
        if (!again) {
          add_sums(row, count);
        }
        if (again || last) {
          // Zeros where there is more to come.
          add_dq(row, again || rows.overflowed[row] == 0 ? count : 0, again);
        }
      };
      Walk walk(rule, Extents(p), b, h, query, of_walk);
      for_each_tile<T, kWidth>(
          walk, q_tile, k_tile, p.q, p.k, b, h, p.D, wide,
          [&](T(&scores)[kR][kC], unsigned seen, const std::int32_t(&numbers)[kC]) {
            int most = 0;
            BASIN_UNROLL
            for (int r = 0; r < kR; ++r) {
              const int row = tile_y() + r * kDown;
              const T largest = rows.largest[row];
              const T level = rows.bound[row];
              const int count = rows.count[row];
              const bool taken = !again || rows.overflowed[row] != 0;
              unsigned passes = 0;
              BASIN_UNROLL
              for (int c = 0; c < kC; ++c) {
                scores[r][c] *= beta;
                const bool below = above_level(weights, scores[r][c], largest, level) <= 0;
                passes |= taken && !below ? (seen >> (r * kC)) & (1u << c) : 0u;
              }
              const int grown = ListedRow<T>(lists, row).append(count, passes, scores[r], numbers);
              most = most < grown ? grown : most;
              __syncwarp();  // all have read
              if (writes()) {
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
              const int count = rows.count[row];
              const bool full = count > kFull;
              if (__any_sync(kAllLanes, full ? 1 : 0) != 0) {
                drain(row, full ? count : 0, false);
                if (full && writes()) {
                  rows.count[row] = 0;
                  rows.overflowed[row] = 1;
                }
                __syncwarp();
              }
            }
          });
      BASIN_ROLL
      for (int r = 0; r < kR; ++r) {
        const int row = tile_y() + r * kDown;
        drain(row, rows.count[row], true);
        if (writes()) {
          rows.count[row] = 0;
        }
      }
      __syncthreads();
      if (!rows.any_overflowed()) {
        break;
      }
    }

    double dalpha = 0;
    for (int row = static_cast<int>(threadIdx.x); row < Tile::kQueries; row += kTileThreads) {
      if (query + row >= L) {
        continue;
      }
      w.means[head * L + query + row] = static_cast<T>(mean_of(row));
      const double* const sums = all_sums + row * kRowSums;
      if (learns_alpha && sums[kU] != 0) {
        const double a = weights.alpha - 1;
        const double mean = mean_of(row);
        dalpha += (sums[kPG] - mean) / (a * a) - (sums[kPLogG] - mean * sums[kEntropy]) / a;
      }
    }
    dbeta = block_reduce<Sum>(dbeta);
    dalpha = block_reduce<Sum>(dalpha);
    if (threadIdx.x == 0) {
      w.dbeta[item] = dbeta;
      w.dalpha[item] = dalpha;
    }
    __syncthreads();
  }
}

/// The keys' side. `tiles`: of keys, in each head; `items`: of all heads.
template <class T, int kWidth>
BASIN_KERNEL void lists_keys_kernel(RetrievalBackward p, GatheredRule rule, ListBackward<T> w,
                                    std::int64_t tiles, std::int64_t items, bool wide) {
  using Tile = ListTile<T, kWidth>;
  using Walk = GatheredRule::Walk<Side::keys, Tile::kQueries, Tile::kKeys>;
  using States = typename Tile::States;
  constexpr int kR = Tile::kR;
  constexpr int kC = Tile::kC;
  constexpr int kFull = PairLists<T>::kRoom - Tile::kKeys;
  T* const k_tile = dynamic_shared<T>();
  T* const q_tile = k_tile + Tile::kQueries * Tile::kRow;
  char* const behind = reinterpret_cast<char*>(k_tile) + Tile::kTiles;
  const States rows(behind);
  const PairLists<T> lists(w.lists, blockIdx.x, Tile::kQueries);
  const auto writes = [] { return tile_x() == 0; };

  for (std::int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const std::int64_t head = item / tiles;
    const std::int64_t b = head / p.H;
    const std::int64_t h = head % p.H;
    const std::int64_t L = p.visibility.L;
    const std::int64_t M = p.visibility.M;
    const std::int64_t key = item % tiles * Tile::kQueries;
    const SparseRule weights(head_rule<T>(p.separation, h));
    const T beta = static_cast<const T*>(p.beta)[h];
    const T* const q = p.q.head<T>(b, h);
    const T* const v = p.v.head<T>(b, h);
    const T* const dout = p.dout.head<T>(b, h);
    T* const dk = p.dk.head<T>(b, h);
    T* const dv = p.dv.head<T>(b, h);
    const T* const statistics = static_cast<const T*>(p.statistics) + 3 * head * L;
    const T* const means = w.means + head * L;
    for (int row = static_cast<int>(threadIdx.x); row < Tile::kQueries; row += kTileThreads) {
      rows.count[row] = 0;
    }
    // A row belongs to the threads that share it, and a column to one of them.
    BASIN_ROLL
    for (int r = 0; r < kR; ++r) {
      const std::int64_t j = key + tile_y() + r * kDown;
      const T zeros[kWidth / kAcross] = {};
      if (j < M) {
        write_columns<kWidth>(dk + j * p.dk.row_stride, p.D, T(1), false, zeros);
        write_columns<kWidth>(dv + j * p.dv.row_stride, p.Dv, T(1), false, zeros);
      }
    }
    __syncthreads();

    const auto drain = [&](int row, int count) {
      const ListedRow<T> list(lists, row);
      const std::int64_t j = key + row < M ? key + row : M - 1;
      for (int n = tile_x(); n < count; n += kAcross) {
        const T* const of_query = statistics + 3 * std::int64_t{list.numbers[n]};
        const double weight =
            weights.weight(above_level(weights, list.scores[n], of_query[0], of_query[1]));
        list.scores[n] = of_query[1] != of_query[1] ? of_query[1] : static_cast<T>(weight);
        list.gains[n] = static_cast<T>(weights.slope(static_cast<double>(list.scores[n])));
      }
      __syncwarp();
      T own[kWidth / kAcross];
      read_columns<kWidth>(v + j * p.v.row_stride, p.Dv, own);
      T of_dk[kWidth / kAcross] = {};
      T of_dv[kWidth / kAcross] = {};
      const int most = most_of_warp(count);
      for (int n = 0; n < most; ++n) {
        T upstream[kWidth / kAcross] = {};
        T gain = 0;
        if (n < count) {
          read_columns<kWidth>(dout + list.numbers[n] * p.dout.row_stride, p.Dv, upstream);
          gain = dot_columns<kWidth>(upstream, own);
        }
        gain = over_row<Sum>(gain);
        if (n >= count || list.scores[n] == T(0)) {
          continue;
        }
        const std::int32_t i = list.numbers[n];
        const T weight = list.scores[n];
        const T slope = list.gains[n] * (gain - means[i]);
        T state[kWidth / kAcross];
        read_columns<kWidth>(q + i * p.q.row_stride, p.D, state);
        BASIN_UNROLL
        for (int at = 0; at < kWidth / kAcross; ++at) {
          of_dk[at] += slope * state[at];
          of_dv[at] += weight * upstream[at];
        }
      }
      if (key + row < M && count > 0) {
        write_columns<kWidth>(dk + j * p.dk.row_stride, p.D, beta, true, of_dk);
        write_columns<kWidth>(dv + j * p.dv.row_stride, p.Dv, T(1), true, of_dv);
      }
      __syncwarp();
    };

    Walk walk(rule, Extents(p), b, h, key, behind + States::kBytes);
    while (walk.next_rows()) {
      for_each_tile<T, kWidth>(
          walk, k_tile, q_tile, p.k, p.q, b, h, p.D, wide,
          [&](T(&scores)[kR][kC], unsigned seen, const std::int32_t(&numbers)[kC]) {
            T largest[kC];
            T level[kC];
            BASIN_UNROLL
            for (int c = 0; c < kC; ++c) {
              const T* const from = statistics + 3 * std::int64_t{numbers[c] < 0 ? 0 : numbers[c]};
              largest[c] = from[0];
              level[c] = from[1];
            }
            int most = 0;
            BASIN_UNROLL
            for (int r = 0; r < kR; ++r) {
              const int row = tile_y() + r * kDown;
              const int count = rows.count[row];
              unsigned passes = 0;
              BASIN_UNROLL
              for (int c = 0; c < kC; ++c) {
                scores[r][c] *= beta;
                const bool below = above_level(weights, scores[r][c], largest[c], level[c]) <= 0;
                passes |= below ? 0u : (seen >> (r * kC)) & (1u << c);
              }
              const int grown = ListedRow<T>(lists, row).append(count, passes, scores[r], numbers);
              most = most < grown ? grown : most;
              __syncwarp();  // all have read
              if (writes()) {
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
              const int count = rows.count[row];
              const bool full = count > kFull;
              if (__any_sync(kAllLanes, full ? 1 : 0) != 0) {
                drain(row, full ? count : 0);
                if (full && writes()) {
                  rows.count[row] = 0;
                }
                __syncwarp();
              }
            }
          });
    }
    BASIN_ROLL
    for (int r = 0; r < kR; ++r) {
      const int row = tile_y() + r * kDown;
      drain(row, rows.count[row]);
    }
    __syncthreads();
  }
}

/// dbeta and dalpha of a head from the parts of its tiles in all batch items: a block for a head.
template <class T>
BASIN_KERNEL void lists_heads_kernel(RetrievalBackward p, ListBackward<T> w, std::int64_t tiles) {
  const std::int64_t h = blockIdx.x;
  double dbeta = 0;
  double dalpha = 0;
  for (std::int64_t at = threadIdx.x; at < p.B * tiles; at += blockDim.x) {
    const std::int64_t item = (at / tiles * p.H + h) * tiles + at % tiles;
    dbeta += w.dbeta[item];
    dalpha += w.dalpha[item];
  }
  dbeta = block_reduce<Sum>(dbeta);
  dalpha = block_reduce<Sum>(dalpha);
  if (threadIdx.x == 0 && p.dbeta != nullptr) {
    static_cast<T*>(p.dbeta)[h] = static_cast<T>(dbeta);
  }
  if (threadIdx.x == 0 && p.dalpha != nullptr) {
    static_cast<T*>(p.dalpha)[h] = static_cast<T>(dalpha);
  }
}

template <class F>
Status dispatch(const RetrievalBackward& p, F&& function) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return dispatch_width<T>(std::max(p.D, p.Dv), [&]<int kWidth>() {
      return function.template operator()<T, kWidth>();
    });
  });
}

template <class T, int kWidth>
struct ListPlan {
  using Tile = ListTile<T, kWidth>;
  std::int64_t query_tiles, key_tiles, query_items, key_items, blocks;
  ListBackward<T> memory;

  explicit ListPlan(const RetrievalBackward& p)
      : query_tiles(pieces_of(p.visibility.L, Tile::kQueries)),
        key_tiles(pieces_of(p.visibility.M, Tile::kQueries)),
        query_items(p.B * p.H * query_tiles),
        key_items(p.B * p.H * key_tiles),
        blocks(std::min(kMostListBlocks, std::max(query_items, key_items))),
        memory(p, query_items, blocks, Tile::kQueries) {}
};

}  // namespace

std::int64_t retrieval_lists_backward_workspace(const RetrievalBackward& p, const DeviceContext&) {
  std::int64_t bytes = 0;
  dispatch(p, [&]<class T, int kWidth>() {
    bytes = ListPlan<T, kWidth>(p).memory.bytes;
    return Status{};
  });
  return bytes;
}

Status retrieval_lists_backward(const RetrievalBackward& p, const DeviceContext& context) {
  GatheredRule rule;
  rule.seen = p.visibility;
  return dispatch(p, [&]<class T, int kWidth>() {
    using Tile = ListTile<T, kWidth>;
    const ListPlan<T, kWidth> plan(p);
    const bool wide = copies_wide(p.q, sizeof(T)) && copies_wide(p.k, sizeof(T));
    const auto blocks = [&](std::int64_t items) {
      return Index3{static_cast<unsigned>(std::min(plan.blocks, items)), 1, 1};
    };
    Status status;
    if (plan.query_items > 0) {
      using Walk = GatheredRule::Walk<Side::queries, Tile::kQueries, Tile::kKeys>;
      status =
          launch({"retrieval_lists_backward_queries",
                  blocks(plan.query_items),
                  {kTileThreads, 1, 1},
                  Tile::kBytes + Tile::kQueries * kRowSums * sizeof(double) + Walk::bytes(rule)},
                 context, lists_queries_kernel<T, kWidth>, p, rule, plan.memory, plan.query_tiles,
                 plan.query_items, wide);
    }
    if (status.ok() && plan.key_items > 0) {
      using Walk = GatheredRule::Walk<Side::keys, Tile::kQueries, Tile::kKeys>;
      status = launch({"retrieval_lists_backward_keys",
                       blocks(plan.key_items),
                       {kTileThreads, 1, 1},
                       Tile::kBytes + Walk::bytes(rule)},
                      context, lists_keys_kernel<T, kWidth>, p, rule, plan.memory, plan.key_tiles,
                      plan.key_items, wide);
    }
    if (status.ok() && p.H > 0) {
      status = launch(
          {"retrieval_lists_backward_heads", {static_cast<unsigned>(p.H), 1, 1}, {256, 1, 1}},
          context, lists_heads_kernel<T>, p, plan.memory, plan.query_tiles);
    }
    return status;
  });
}

}  // namespace basin::kernels

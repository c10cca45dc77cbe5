// On the list of a query, with P its weights, g = dout.v and delta = dout.out:
//   ds = P (g - delta);  dq += beta ds k,  dk += beta ds q,  dv += P dout
#include "kernels/association/head_parts.h"
#include "kernels/association/retrieval_top.h"
#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/retrieval_top_backward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/top_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// The lists of a tile in one block of keys, sorted by key: then a row of dk and one of dv is loaded
// and stored once for all queries of the tile.
template <class T>
struct QueriesOfKeys {
  std::int64_t ends[kKeysOfBlock + 1];
  IndexOf<T>* queries;
  T* weights;
  T* slopes;

  explicit QueriesOfKeys(T* memory) {
    constexpr std::int64_t most = kTopQueries * kKeysOfBlock;
    queries = reinterpret_cast<IndexOf<T>*>(memory);
    weights = memory + most;
    slopes = memory + 2 * most;
  }
  static constexpr std::int64_t elements() { return 3 * kTopQueries * kKeysOfBlock; }

  void sort(const KeptKeys<T>* lists, std::int64_t rows, T beta) {
    std::fill_n(ends, kKeysOfBlock + 1, std::int64_t{0});
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t n = 0; n < lists[r].count; ++n) {
        ++ends[lists[r].numbers[n] + 1];
      }
    }
    for (std::int64_t j = 0; j < kKeysOfBlock; ++j) {
      ends[j + 1] += ends[j];
    }
    // ends[j] is where key j begins, and in the end where it ends.
    for (std::int64_t r = 0; r < rows; ++r) {
      const KeptKeys<T>& list = lists[r];
      for (std::int64_t n = 0; n < list.count; ++n) {
        const std::int64_t at = ends[list.numbers[n]]++;
        queries[at] = static_cast<IndexOf<T>>(r);
        weights[at] = list.weights[n];
        slopes[at] = beta * list.slopes[n];
      }
    }
  }
};

template <class T>
void top_backward_tile(const TopHead<T, RetrievalBackward>& head, std::int64_t begin,
                       std::int64_t end, const CollectedRows<T>& to, T* scratch, double& dbeta) {
  const RetrievalBackward& p = head.p;
  const TopTile<T, RetrievalBackward> tile(head, begin, end, scratch);
  QueriesOfKeys<T> sorted(scratch + TopLayout<T>{p.visibility.M}.elements());
  const auto row_of = [&](const HeadView& view, std::int64_t r) {
    return view.head<T>(head.b, head.h) + (begin + r) * view.row_stride;
  };
  const T* statistics =
      static_cast<const T*>(p.statistics) + 3 * ((head.b * p.H + head.h) * p.visibility.L + begin);
  T deltas[kTopQueries];
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    deltas[r] = vector_dot<T>(row_of(p.dout, r), row_of(p.out, r), p.Dv);
    std::fill_n(row_of(p.dq, r), p.D, T(0));
  }
  KeptKeys<T> lists[kTopQueries];
  for (std::int64_t block = tile.first; block < tile.end; block += kKeysOfBlock) {
    const T* keys = p.k.head<T>(head.b, head.h) + block * p.k.row_stride;
    const T* values = head.v + block * p.v.row_stride;
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      lists[r] = tile.keep(r, block);
      const T level = statistics[3 * r + 1];
      if (level == T(0)) {  // a query that sees nothing
        lists[r].count = 0;
      }
      const std::int64_t count = lists[r].count;
      T* weights = lists[r].weights;
      T* slopes = lists[r].slopes;
      (void)vector_exp_sum(weights, weights, count, statistics[3 * r]);
      vector_scale(weights, weights, count, T(1) / level);
      list_dots(lists[r].weights_of(values, p.v.row_stride), row_of(p.dout, r), p.Dv, slopes);
      for (std::int64_t n = 0; n < count; ++n) {
        slopes[n] = weights[n] * (slopes[n] - deltas[r]);
      }
    }
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      add_list(lists[r].slopes_of(keys, p.k.row_stride), p.D, row_of(p.dq, r));
    }
    sorted.sort(lists, tile.rows, head.beta);
    std::int64_t first = 0;
    for (std::int64_t j = 0; j < kKeysOfBlock; ++j) {
      const std::int64_t count = sorted.ends[j] - first;
      if (count > 0) {
        const IndexOf<T>* queries = sorted.queries + first;
        add_list<T>({row_of(p.dout, 0), p.dout.row_stride, queries, sorted.weights + first, count},
                    p.Dv, to.dv + (block + j) * to.dv_row);
        add_list<T>({row_of(p.q, 0), p.q.row_stride, queries, sorted.slopes + first, count}, p.D,
                    to.dk + (block + j) * to.dk_row);
      }
      first = sorted.ends[j];
    }
  }
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    T* dq = row_of(p.dq, r);
    dbeta += static_cast<double>(vector_dot<T>(row_of(p.q, r), dq, p.D));
    vector_scale(dq, dq, p.D, head.beta);
  }
}

// Where things lie in the workspace.
template <class T>
struct TopBackwardPlan {
  HeadParts parts;
  std::int64_t packed, scratch;

  explicit TopBackwardPlan(const RetrievalBackward& p)
      : parts(p, kTopQueries),
        packed(p.B * p.H * blocks_of(p.visibility.M) * key_block_size<T>(p.D)),
        scratch(TopLayout<T>{p.visibility.M}.elements() + QueriesOfKeys<T>::elements()) {}
  std::int64_t bytes(int threads) const {
    return parts.chunks() * static_cast<std::int64_t>(sizeof(double)) +
           (packed + parts.elements() + threads * scratch) * static_cast<std::int64_t>(sizeof(T));
  }
};

template <class T>
void top_backward(const RetrievalBackward& p, const CpuContext& context) {
  const TopBackwardPlan<T> plan(p);
  const HeadParts& parts = plan.parts;
  double* dbeta = static_cast<double*>(p.workspace);
  T* packed = reinterpret_cast<T*>(dbeta + parts.chunks());
  T* memory = packed + plan.packed;
  T* scratch = memory + parts.elements();
  pack_all_keys(p, context, packed);
  context.pool->run(parts.chunks(), [&](std::int64_t chunk) {
    const TopHead<T, RetrievalBackward> head(p, parts.head(chunk), packed);
    const CollectedRows<T> to = start_rows(p, parts, chunk, memory);
    dbeta[chunk] = 0;
    for (std::int64_t begin = parts.begin(chunk); begin < parts.end(chunk); begin += kTopQueries) {
      top_backward_tile(head, begin, std::min(begin + kTopQueries, parts.end(chunk)), to,
                        scratch + ThreadPool::thread_index() * plan.scratch, dbeta[chunk]);
    }
  });
  add_parts_of_heads(p, parts, memory, context);
  sum_over_parts<T>(parts, dbeta, p.dbeta);
  for (std::int64_t h = 0; p.dalpha != nullptr && h < p.H; ++h) {
    static_cast<T*>(p.dalpha)[h] = 0;
  }
}

void top_backward_target(const RetrievalBackward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    top_backward<double>(p, context);
  } else {
    top_backward<float>(p, context);
  }
}

std::int64_t top_backward_workspace_target(const RetrievalBackward& p, const CpuContext& context) {
  const int threads = context.pool->threads();
  return p.dtype == DType::f64 ? TopBackwardPlan<double>(p).bytes(threads)
                               : TopBackwardPlan<float>(p).bytes(threads);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(top_backward_target);
HWY_EXPORT(top_backward_workspace_target);

void retrieval_top_backward(const RetrievalBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(top_backward_target)(p, context);
}

std::int64_t retrieval_top_backward_workspace(const RetrievalBackward& p,
                                              const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(top_backward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

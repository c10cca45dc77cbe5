// The scores are computed again, block of keys by block of keys; keys whose z - tau is above 0,
// with the largest score and tau that the forward pass left, go to a list. On the list, with g =
// dout.v:
//   w = x^(1/(alpha-1)),  u = w^(2-alpha),  ds = u (g - <u,g> / <u,1>)
//   dq += ds k,  dk += ds q,  dv += w dout
// so that everything but the scores costs what the support does.
#include <cmath>

#include "kernels/association/head_parts.h"
#include "kernels/association/retrieval_lists.h"
#include "kernels/association/row_weights.h"
#include "kernels/common/dispatch.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/retrieval_lists_backward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/candidate_list-inl.h"
#include "kernels/association/key_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

// The scratch of a thread, in elements; indices count as elements.
template <class T>
struct SupportLayout {
  std::int64_t M;
  std::int64_t scores() const { return kBlockRows * kKeysOfBlock; }
  std::int64_t list_room() const { return M + kListSlack<T>; }
  /// Keys, z - tau and slopes of a group of queries.
  std::int64_t lists() const { return kBlockRows * list_room(); }
  std::int64_t elements() const { return scores() + 3 * lists(); }
};

template <class T>
struct SupportHead {
  const RetrievalBackward& p;
  std::int64_t b, h;
  HeadRule rule;
  T beta, scale;
  double exponent;
  const T *q, *k, *v, *dout, *blocks, *statistics;
  T* dq;
  bool prefix;

  SupportHead(const RetrievalBackward& in, std::int64_t head, const T* packed)
      : p(in),
        b(head / in.H),
        h(head % in.H),
        rule(head_rule<T>(in.separation, h)),
        beta(static_cast<const T*>(in.beta)[h]),
        scale(static_cast<T>(rule.alpha - 1)),
        exponent(rule.kind == Separation::sparsemax ? 1.0 : 1 / (rule.alpha - 1)),
        q(in.q.head<T>(b, h)),
        k(in.k.head<T>(b, h)),
        v(in.v.head<T>(b, h)),
        dout(in.dout.head<T>(b, h)),
        blocks(packed + head * blocks_of(in.visibility.M) * key_block_size<T>(in.D)),
        statistics(static_cast<const T*>(in.statistics) + head * in.visibility.L * 3),
        dq(in.dq.head<T>(b, h)),
        prefix(in.visibility.is_prefix()) {}
};

template <class T>
struct Support {
  IndexOf<T>* keys;
  T* x;       // z - tau
  T* slopes;  // dout.v, then ds
  std::int64_t count;
};

template <class T>
HWY_INLINE void add_scaled_row(const T* x, T factor, std::int64_t width, T* to) {
  for (std::int64_t c = 0; c < width; ++c) {
    to[c] += factor * x[c];
  }
}

// What the scores of `count` keys from key `first` on add to the support; they become z - tau. They
// can be read and written up to a whole vector.
template <class T>
void collect(const SupportHead<T>& head, std::int64_t i, T* scores, std::int64_t first,
             std::int64_t count, Support<T>& support) {
  const T largest = head.statistics[3 * i];
  const T tau = head.statistics[3 * i + 1];
  // A NaN that the query sees made tau NaN for the whole row. One that it does not see might have
  // made vector_max forget what came before it.
  if (head.prefix && head.scale * (vector_max(scores, count) - largest) - tau <= 0) {
    return;
  }
  const hn::ScalableTag<T> d;
  for (std::int64_t j = 0; j < count; j += kLanesOf<T>) {
    const auto z =
        hn::Mul(hn::Set(d, head.scale), hn::Sub(hn::LoadU(d, scores + j), hn::Set(d, largest)));
    hn::StoreU(hn::Sub(z, hn::Set(d, tau)), d, scores + j);
  }
  T* const x = support.x + support.count;
  IndexOf<T>* const keys = support.keys + support.count;
  const std::int64_t found = take_above(scores, count, T(0), first, x, keys);
  if (head.prefix) {
    support.count += found;
    return;
  }
  std::int64_t kept = 0;
  for (std::int64_t n = 0; n < found; ++n) {
    if (head.p.visibility.keep(head.b, head.h, i, keys[n])) {
      x[kept] = x[n];
      keys[kept++] = keys[n];
    }
  }
  support.count += kept;
}

template <class T>
void backward_row(const SupportHead<T>& head, std::int64_t i, const CollectedRows<T>& to,
                  Support<T>& support, double& dbeta, double& dalpha) {
  const RetrievalBackward& p = head.p;
  const T* q = head.q + i * p.q.row_stride;
  const T* dout = head.dout + i * p.dout.row_stride;
  T* dq = head.dq + i * p.dq.row_stride;
  std::fill(dq, dq + p.D, T(0));
  const bool learns_alpha = head.rule.kind == Separation::entmax && p.dalpha != nullptr;
  const double a = head.rule.alpha - 1;
  const auto u_of = [&](double x) {  // w^(2 - alpha) = x^((2 - alpha) / (alpha - 1))
    return head.exponent == 1.0 ? 1.0 : (head.exponent == 2.0 ? x : std::pow(x, head.exponent - 1));
  };
  double total = 0;
  double inner = 0;
  double entropy = 0;
  list_dots(RowList<T>{head.v, p.v.row_stride, support.keys, nullptr, support.count}, dout, p.Dv,
            support.slopes);
  for (std::int64_t n = 0; n < support.count; ++n) {
    const std::int64_t j = support.keys[n];
    const double x = static_cast<double>(support.x[n]);
    const double u = u_of(x);
    const double weight = u * x;
    add_scaled_row(dout, static_cast<T>(weight), p.Dv, to.dv + j * to.dv_row);
    total += u;
    inner += u * static_cast<double>(support.slopes[n]);
    entropy += learns_alpha ? weight * std::log(weight) : 0;
  }
  const double mean = inner / total;
  for (std::int64_t n = 0; n < support.count; ++n) {
    const std::int64_t j = support.keys[n];
    const double x = static_cast<double>(support.x[n]);
    const double u = u_of(x);
    const double slope = static_cast<double>(support.slopes[n]);
    if (learns_alpha) {
      const double weight = u * x;
      const double share = u / total;
      dalpha +=
          slope * ((weight - share) / (a * a) - (weight * std::log(weight) - share * entropy) / a);
    }
    const T ds = static_cast<T>(u * (slope - mean));
    support.slopes[n] = ds;
    add_scaled_row(q, head.beta * ds, p.D, to.dk + j * to.dk_row);
  }
  add_list(RowList<T>{head.k, p.k.row_stride, support.keys, support.slopes, support.count}, p.D,
           dq);
  dbeta += static_cast<double>(vector_dot(q, dq, p.D));
  vector_scale(dq, dq, p.D, head.beta);
}

template <class T>
void backward_list_part(const SupportHead<T>& head, std::int64_t first_query,
                        std::int64_t end_query, const CollectedRows<T>& to, T* scratch,
                        double& dbeta, double& dalpha) {
  const RetrievalBackward& p = head.p;
  const Visibility& seen = p.visibility;
  const SupportLayout<T> layout{seen.M};
  T* scores = scratch;
  T* x = scores + layout.scores();
  T* slopes = x + layout.lists();
  auto* keys = reinterpret_cast<IndexOf<T>*>(slopes + layout.lists());
  dbeta = 0;
  dalpha = 0;
  for (std::int64_t begin = first_query; begin < end_query; begin += kBlockRows) {
    const std::int64_t rows = std::min<std::int64_t>(kBlockRows, end_query - begin);
    Support<T> supports[kBlockRows];
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t at = r * layout.list_room();
      supports[r] = {keys + at, x + at, slopes + at, 0};
    }
    const KeyRange range = keys_of_queries(seen, head.b, begin, begin + rows);
    const Left<T> q{head.q + begin * p.q.row_stride, p.q.row_stride, 1};
    for (std::int64_t n = range.begin / kKeysOfBlock; n * kKeysOfBlock < range.end; ++n) {
      const std::int64_t first = n * kKeysOfBlock;
      const auto within = [&](std::int64_t row) {
        return std::clamp<std::int64_t>(seen.prefix(head.b, begin + row) - first, 0, kKeysOfBlock);
      };
      const std::int64_t most = within(rows - 1);
      if (most == 0) {
        continue;
      }
      product(rows, most, p.D, q, Packed<T>::of(head.blocks + n * key_block_size<T>(p.D), p.D),
              scores, kKeysOfBlock, Update<T>{head.beta, T(0)});
      for (std::int64_t r = 0; r < rows; ++r) {
        if (const std::int64_t count = within(r); count > 0) {
          collect(head, begin + r, scores + r * kKeysOfBlock, first, count, supports[r]);
        }
      }
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      backward_row(head, begin + r, to, supports[r], dbeta, dalpha);
    }
  }
}

// Where things lie in the workspace.
template <class T>
struct ListsBackwardPlan {
  HeadParts parts;
  std::int64_t packed, scratch;

  explicit ListsBackwardPlan(const RetrievalBackward& p)
      : parts(p, kBlockRows),
        packed(p.B * p.H * blocks_of(p.visibility.M) * key_block_size<T>(p.D)),
        scratch(SupportLayout<T>{p.visibility.M}.elements()) {}
  std::int64_t bytes(int threads) const {
    return 2 * parts.chunks() * static_cast<std::int64_t>(sizeof(double)) +
           (packed + parts.elements() + threads * scratch) * static_cast<std::int64_t>(sizeof(T));
  }
};

template <class T>
void lists_backward(const RetrievalBackward& p, const CpuContext& context) {
  const ListsBackwardPlan<T> plan(p);
  const HeadParts& parts = plan.parts;
  double* dbeta = static_cast<double*>(p.workspace);
  double* dalpha = dbeta + parts.chunks();
  T* packed = reinterpret_cast<T*>(dalpha + parts.chunks());
  T* memory = packed + plan.packed;
  T* scratch = memory + parts.elements();
  pack_all_keys(p, context, packed);
  context.pool->run(parts.chunks(), [&](std::int64_t chunk) {
    backward_list_part(SupportHead<T>(p, parts.head(chunk), packed), parts.begin(chunk),
                       parts.end(chunk), start_rows(p, parts, chunk, memory),
                       scratch + ThreadPool::thread_index() * plan.scratch, dbeta[chunk],
                       dalpha[chunk]);
  });
  add_parts_of_heads(p, parts, memory, context);
  sum_over_parts<T>(parts, dbeta, p.dbeta);
  sum_over_parts<T>(parts, dalpha, p.dalpha);
}

void lists_backward_target(const RetrievalBackward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    lists_backward<double>(p, context);
  } else {
    lists_backward<float>(p, context);
  }
}

std::int64_t lists_backward_workspace_target(const RetrievalBackward& p,
                                             const CpuContext& context) {
  const int threads = context.pool->threads();
  return p.dtype == DType::f64 ? ListsBackwardPlan<double>(p).bytes(threads)
                               : ListsBackwardPlan<float>(p).bytes(threads);
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(lists_backward_target);
HWY_EXPORT(lists_backward_workspace_target);

void retrieval_lists_backward(const RetrievalBackward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(lists_backward_target)(p, context);
}

std::int64_t retrieval_lists_backward_workspace(const RetrievalBackward& p,
                                                const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(lists_backward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

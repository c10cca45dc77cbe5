// With g_i = dout_i / n_i and c_i = -dout_i.out_i / n_i, n_i the normaliser:
//   forward through the queries:   dphi(q_i) = S_i g_i + c_i z_i
//   backward through the keys:     dphi(k_j) = R_j v_j + r_j,  dv_j = R_j^T phi(k_j)
// where S, z sum phi(k) v^T, phi(k) over the keys a query sees, and R, r sum phi(q) g^T, c phi(q)
// over the queries that see a key. As in the forward pass a chunk takes what all its rows share
// from the state and the rest pair by pair.
#include "kernels/association/chunked_linear_attention.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/chunked_linear_attention_backward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/linear_chunk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

template <class T>
struct BackwardScratch {
  std::int64_t state, state_transposed, phi, g, packed_phi, packed_g, weights;

  explicit BackwardScratch(const LinearAttentionBackward& p)
      : state(packed_size<T>(p.D, p.Dv)),
        state_transposed(packed_size<T>(p.Dv, p.D)),
        phi(kChunk * p.D),
        g(kChunk * p.Dv),
        packed_phi(packed_size<T>(kChunk, p.D) + packed_size<T>(p.D, kChunk)),
        packed_g(packed_size<T>(kChunk, p.Dv) + packed_size<T>(p.Dv, kChunk)),
        weights(kChunk * kChunk) {}

  std::int64_t elements(const LinearAttentionBackward& p) const {
    return state + state_transposed + 3 * phi + g + packed_phi + packed_g + 2 * weights + kChunk +
           p.D;
  }
};

template <class T>
class LinearBackwardHead {
 public:
  LinearBackwardHead(const LinearAttentionBackward& p, std::int64_t head, T* scratch)
      : p_(p), layout_(p), b_(head / p.H), h_(head % p.H), scratch_(scratch) {
    q_ = p.q.head<T>(b_, h_);
    k_ = p.k.head<T>(b_, h_);
    v_ = p.v.head<T>(b_, h_);
    out_ = p.out.head<T>(b_, h_);
    dout_ = p.dout.head<T>(b_, h_);
    normaliser_ = static_cast<const T*>(p.normaliser) + head * p.L;
    T* at = scratch + layout_.state + layout_.state_transposed;
    const auto take = [&](std::int64_t count) {
      T* taken = at;
      at += count;
      return taken;
    };
    phi_rows_ = take(layout_.phi);
    phi_pairs_ = take(layout_.phi);
    dphi_ = take(layout_.phi);
    g_ = take(layout_.g);
    packed_phi_ = take(packed_size<T>(kChunk, p.D));
    packed_phi_transposed_ = take(packed_size<T>(p.D, kChunk));
    packed_g_ = take(packed_size<T>(kChunk, p.Dv));
    packed_g_transposed_ = take(packed_size<T>(p.Dv, kChunk));
    weights_ = take(layout_.weights);
    slopes_ = take(layout_.weights);
    c_ = take(kChunk);
    z_ = take(p.D);
  }

  void run() {
    through_queries();
    through_keys();
  }

 private:
  std::int64_t visible(std::int64_t i) const {
    return visible_keys(p_.key_lengths, b_, p_.causal, i, p_.L, p_.M);
  }
  /// The first query that sees key j, which somebody sees.
  std::int64_t first_query(std::int64_t j) const {
    return p_.causal ? std::max<std::int64_t>(0, j - (p_.M - p_.L)) : 0;
  }

  // g and c of `count` queries.
  HWY_INLINE void load_gradients(std::int64_t begin, std::int64_t count) {
    for (std::int64_t r = 0; r < count; ++r) {
      const T* dy = dout_ + (begin + r) * p_.dout.row_stride;
      const T scale = T(1) / normaliser_[begin + r];
      vector_scale(dy, g_ + r * p_.Dv, p_.Dv, scale);
      c_[r] = -scale * vector_dot(dy, out_ + (begin + r) * p_.out.row_stride, p_.Dv);
    }
  }

  void through_queries() {
    PanelSum<T> state(scratch_, p_.Dv, p_.D);  // S^T
    std::fill(z_, z_ + p_.D, T(0));
    std::int64_t stored = 0;
    for (std::int64_t begin = 0; begin < p_.L; begin += kChunk) {
      const std::int64_t rows = std::min(kChunk, p_.L - begin);
      const std::int64_t common = visible(begin);
      while (stored < common) {
        const std::int64_t count = std::min(kChunk, common - stored);
        feature_rows(k_ + stored * p_.k.row_stride, p_.k.row_stride, count, p_.D, phi_pairs_);
        pack(phi_pairs_, p_.D, count, p_.D, packed_phi_);
        state.add(Left<T>{v_ + stored * p_.v.row_stride, 1, p_.v.row_stride},
                  Packed<T>::of(packed_phi_, count), count);
        for (std::int64_t n = 0; n < count; ++n) {
          add_scaled(phi_pairs_ + n * p_.D, T(1), p_.D, z_);
        }
        stored += count;
      }
      const auto within = [&](std::int64_t r) { return visible(begin + r) - common; };
      const std::int64_t most = within(rows - 1);
      feature_rows(q_ + begin * p_.q.row_stride, p_.q.row_stride, rows, p_.D, phi_rows_);
      load_gradients(begin, rows);
      const Left<T> g{g_, p_.Dv, 1};
      product(rows, p_.D, p_.Dv, g, state.packed(), dphi_, p_.D, Update<T>{T(1), T(0)});
      for (std::int64_t r = 0; r < rows; ++r) {
        add_scaled(z_, c_[r], p_.D, dphi_ + r * p_.D);
      }
      if (most > 0) {
        feature_rows(k_ + common * p_.k.row_stride, p_.k.row_stride, most, p_.D, phi_pairs_);
        pack(phi_pairs_, p_.D, most, p_.D, packed_phi_);
        pack_transposed(v_ + common * p_.v.row_stride, p_.v.row_stride, p_.Dv, most,
                        packed_g_transposed_);
        product(rows, most, p_.Dv, g, Packed<T>::of(packed_g_transposed_, p_.Dv), slopes_, kChunk,
                Update<T>{T(1), T(0)});
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t t = 0; t < within(r); ++t) {
            slopes_[r * kChunk + t] += c_[r];
          }
        }
        add_prefixes(rows, p_.D, slopes_, kChunk, Packed<T>::of(packed_phi_, most), dphi_, p_.D,
                     within);
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        T* dq = p_.dq.head<T>(b_, h_) + (begin + r) * p_.dq.row_stride;
        if (common + within(r) == 0) {
          std::fill(dq, dq + p_.D, T(0));
        } else {
          feature_slope(q_ + (begin + r) * p_.q.row_stride, phi_rows_ + r * p_.D, dphi_ + r * p_.D,
                        p_.D, dq);
        }
      }
    }
  }

  void through_keys() {
    PanelSum<T> state(scratch_, p_.D, p_.Dv);                             // R
    PanelSum<T> state_transposed(scratch_ + layout_.state, p_.Dv, p_.D);  // R^T
    T* r_sum = z_;
    std::fill(r_sum, r_sum + p_.D, T(0));
    const std::int64_t seen = p_.L == 0 ? 0 : visible(p_.L - 1);
    for (std::int64_t j = seen; j < p_.M; ++j) {  // nobody sees these: they may hold NaN
      T* dk = p_.dk.head<T>(b_, h_) + j * p_.dk.row_stride;
      T* dv = p_.dv.head<T>(b_, h_) + j * p_.dv.row_stride;
      std::fill(dk, dk + p_.D, T(0));
      std::fill(dv, dv + p_.Dv, T(0));
    }
    std::int64_t stored = p_.L;  // queries from here on are in the state
    for (std::int64_t end = seen; end > 0; end -= std::min(kChunk, end)) {
      const std::int64_t begin = std::max<std::int64_t>(0, end - kChunk);
      const std::int64_t rows = end - begin;
      const std::int64_t common = first_query(end - 1);
      while (stored > common) {
        const std::int64_t count = std::min(kChunk, stored - common);
        stored -= count;
        feature_rows(q_ + stored * p_.q.row_stride, p_.q.row_stride, count, p_.D, phi_pairs_);
        load_gradients(stored, count);
        pack(phi_pairs_, p_.D, count, p_.D, packed_phi_);
        pack(g_, p_.Dv, count, p_.Dv, packed_g_);
        state.add(Left<T>{phi_pairs_, 1, p_.D}, Packed<T>::of(packed_g_, count), count);
        state_transposed.add(Left<T>{g_, 1, p_.Dv}, Packed<T>::of(packed_phi_, count), count);
        for (std::int64_t n = 0; n < count; ++n) {
          add_scaled(phi_pairs_ + n * p_.D, c_[n], p_.D, r_sum);
        }
      }
      // The queries from `lowest` to `common` see some keys of the chunk and not others.
      const std::int64_t lowest = first_query(begin);
      const std::int64_t pairs = common - lowest;
      const auto first = [&](std::int64_t r) { return first_query(begin + r) - lowest; };
      feature_rows(k_ + begin * p_.k.row_stride, p_.k.row_stride, rows, p_.D, phi_rows_);
      const Left<T> phi{phi_rows_, p_.D, 1};
      const Left<T> v{v_ + begin * p_.v.row_stride, p_.v.row_stride, 1};
      T* dv = p_.dv.head<T>(b_, h_) + begin * p_.dv.row_stride;
      product(rows, p_.Dv, p_.D, phi, state.packed(), dv, p_.dv.row_stride, Update<T>{T(1), T(0)});
      product(rows, p_.D, p_.Dv, v, state_transposed.packed(), dphi_, p_.D, Update<T>{T(1), T(0)});
      for (std::int64_t r = 0; r < rows; ++r) {
        add_scaled(r_sum, T(1), p_.D, dphi_ + r * p_.D);
      }
      if (pairs > 0) {
        add_pairs(lowest, pairs, rows, phi, v, dv, first);
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        feature_slope(k_ + (begin + r) * p_.k.row_stride, phi_rows_ + r * p_.D, dphi_ + r * p_.D,
                      p_.D, p_.dk.head<T>(b_, h_) + (begin + r) * p_.dk.row_stride);
      }
    }
  }

  template <class First>
  HWY_INLINE void add_pairs(std::int64_t lowest, std::int64_t pairs, std::int64_t rows,
                            const Left<T>& phi, const Left<T>& v, T* dv, First&& first) {
    feature_rows(q_ + lowest * p_.q.row_stride, p_.q.row_stride, pairs, p_.D, phi_pairs_);
    load_gradients(lowest, pairs);
    pack(phi_pairs_, p_.D, pairs, p_.D, packed_phi_);
    pack_transposed(phi_pairs_, p_.D, p_.D, pairs, packed_phi_transposed_);
    pack(g_, p_.Dv, pairs, p_.Dv, packed_g_);
    pack_transposed(g_, p_.Dv, p_.Dv, pairs, packed_g_transposed_);
    product(rows, pairs, p_.D, phi, Packed<T>::of(packed_phi_transposed_, p_.D), weights_, kChunk,
            Update<T>{T(1), T(0)});
    product(rows, pairs, p_.Dv, v, Packed<T>::of(packed_g_transposed_, p_.Dv), slopes_, kChunk,
            Update<T>{T(1), T(0)});
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t t = 0; t < pairs; ++t) {
        slopes_[r * kChunk + t] += c_[t];
      }
    }
    add_suffixes(rows, p_.Dv, pairs, weights_, kChunk, Packed<T>::of(packed_g_, pairs), dv,
                 p_.dv.row_stride, first);
    add_suffixes(rows, p_.D, pairs, slopes_, kChunk, Packed<T>::of(packed_phi_, pairs), dphi_, p_.D,
                 first);
  }

  const LinearAttentionBackward& p_;
  BackwardScratch<T> layout_;
  std::int64_t b_, h_;
  T* scratch_;
  const T *q_, *k_, *v_, *out_, *dout_, *normaliser_;
  T *phi_rows_, *phi_pairs_, *dphi_, *g_, *packed_phi_, *packed_phi_transposed_, *packed_g_,
      *packed_g_transposed_, *weights_, *slopes_, *c_, *z_;
};

template <class T>
void linear_backward(const LinearAttentionBackward& p, const CpuContext& context) {
  context.pool->run(p.B * p.H, [&](std::int64_t head) {
    LinearBackwardHead<T>(p, head,
                          static_cast<T*>(p.workspace) +
                              ThreadPool::thread_index() * BackwardScratch<T>(p).elements(p))
        .run();
  });
}

void linear_backward_target(const LinearAttentionBackward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    linear_backward<double>(p, context);
  } else {
    linear_backward<float>(p, context);
  }
}

std::int64_t linear_backward_workspace_target(const LinearAttentionBackward& p,
                                              const CpuContext& context) {
  const std::int64_t elements = p.dtype == DType::f64 ? BackwardScratch<double>(p).elements(p)
                                                      : BackwardScratch<float>(p).elements(p);
  return context.pool->threads() * elements * static_cast<std::int64_t>(size_of(p.dtype));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(linear_backward_target);
HWY_EXPORT(linear_backward_workspace_target);

void chunked_linear_attention_backward(const LinearAttentionBackward& p,
                                       const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(linear_backward_target)(p, context);
}

std::int64_t chunked_linear_attention_backward_workspace(const LinearAttentionBackward& p,
                                                         const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(linear_backward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

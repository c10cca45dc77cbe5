// A chunk of queries at a time. The keys that all of them see are in the state S = sum phi(k) v^T,
// z = sum phi(k); the few that only some see are taken as in softmax attention, without the
// softmax:
//   out_i = (phi(q_i) S + sum_t w_it v_t) / (phi(q_i).z + sum_t w_it + eps),  w_it =
//   phi(q_i).phi(k_t)
#include "kernels/association/chunked_linear_attention.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/association/chunked_linear_attention_forward.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/association/linear_chunk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

template <class T>
struct ForwardScratch {
  std::int64_t state, phi, packed_keys, packed_values, weights, sums;

  explicit ForwardScratch(const LinearAttentionForward& p)
      : state(packed_size<T>(p.D, p.Dv)),
        phi(kChunk * p.D),
        packed_keys(packed_size<T>(p.D, kChunk)),
        packed_values(packed_size<T>(kChunk, p.Dv)),
        weights(kChunk * kChunk),
        sums(kChunk * p.Dv + p.D) {}

  std::int64_t elements() const {
    return state + 2 * phi + packed_keys + packed_values + weights + sums;
  }
};

template <class T>
void linear_forward_head(const LinearAttentionForward& p, std::int64_t head, T* scratch) {
  const ForwardScratch<T> layout(p);
  const std::int64_t b = head / p.H;
  const std::int64_t h = head % p.H;
  const T* q = p.q.head<T>(b, h);
  const T* k = p.k.head<T>(b, h);
  const T* v = p.v.head<T>(b, h);
  T* out = p.out.head<T>(b, h);
  T* normaliser = static_cast<T*>(p.normaliser) + head * p.L;
  const auto visible = [&](std::int64_t i) {
    return visible_keys(p.key_lengths, b, p.causal, i, p.L, p.M);
  };

  PanelSum<T> state(scratch, p.D, p.Dv);
  T* phi_k = scratch + layout.state;
  T* phi_q = phi_k + layout.phi;
  T* packed_keys = phi_q + layout.phi;
  T* packed_values = packed_keys + layout.packed_keys;
  T* weights = packed_values + layout.packed_values;
  T* sums = weights + layout.weights;
  T* z = sums + kChunk * p.Dv;
  std::fill(z, z + p.D, T(0));

  std::int64_t stored = 0;  // keys in the state
  for (std::int64_t begin = 0; begin < p.L; begin += kChunk) {
    const std::int64_t rows = std::min(kChunk, p.L - begin);
    const std::int64_t common = visible(begin);
    while (stored < common) {
      const std::int64_t count = std::min(kChunk, common - stored);
      feature_rows(k + stored * p.k.row_stride, p.k.row_stride, count, p.D, phi_k);
      pack(v + stored * p.v.row_stride, p.v.row_stride, count, p.Dv, packed_values);
      state.add(Left<T>{phi_k, 1, p.D}, Packed<T>::of(packed_values, count), count);
      for (std::int64_t n = 0; n < count; ++n) {
        add_scaled(phi_k + n * p.D, T(1), p.D, z);
      }
      stored += count;
    }
    const auto within = [&](std::int64_t r) { return visible(begin + r) - common; };
    const std::int64_t most = within(rows - 1);

    feature_rows(q + begin * p.q.row_stride, p.q.row_stride, rows, p.D, phi_q);
    const Left<T> left{phi_q, p.D, 1};
    product(rows, p.Dv, p.D, left, state.packed(), sums, p.Dv, Update<T>{T(1), T(0)});
    if (most > 0) {
      feature_rows(k + common * p.k.row_stride, p.k.row_stride, most, p.D, phi_k);
      pack_transposed(phi_k, p.D, p.D, most, packed_keys);
      pack(v + common * p.v.row_stride, p.v.row_stride, most, p.Dv, packed_values);
      product(rows, most, p.D, left, Packed<T>::of(packed_keys, p.D), weights, kChunk,
              Update<T>{T(1), T(0)});
      add_prefixes(rows, p.Dv, weights, kChunk, Packed<T>::of(packed_values, most), sums, p.Dv,
                   within);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      T sum = vector_dot(phi_q + r * p.D, z, p.D) + static_cast<T>(p.eps);
      for (std::int64_t t = 0; t < within(r); ++t) {
        sum += weights[r * kChunk + t];
      }
      normaliser[begin + r] = sum;
      T* to = out + (begin + r) * p.out.row_stride;
      if (common + within(r) == 0) {
        std::fill(to, to + p.Dv, T(0));
      } else {
        vector_scale(sums + r * p.Dv, to, p.Dv, T(1) / sum);
      }
    }
  }
}

template <class T>
void linear_forward(const LinearAttentionForward& p, const CpuContext& context) {
  context.pool->run(p.B * p.H, [&](std::int64_t head) {
    linear_forward_head(p, head,
                        static_cast<T*>(p.workspace) +
                            ThreadPool::thread_index() * ForwardScratch<T>(p).elements());
  });
}

void linear_forward_target(const LinearAttentionForward& p, const CpuContext& context) {
  if (p.dtype == DType::f64) {
    linear_forward<double>(p, context);
  } else {
    linear_forward<float>(p, context);
  }
}

std::int64_t linear_forward_workspace_target(const LinearAttentionForward& p,
                                             const CpuContext& context) {
  const std::int64_t elements = p.dtype == DType::f64 ? ForwardScratch<double>(p).elements()
                                                      : ForwardScratch<float>(p).elements();
  return context.pool->threads() * elements * static_cast<std::int64_t>(size_of(p.dtype));
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(linear_forward_target);
HWY_EXPORT(linear_forward_workspace_target);

void chunked_linear_attention_forward(const LinearAttentionForward& p, const CpuContext& context) {
  HWY_DYNAMIC_DISPATCH(linear_forward_target)(p, context);
}

std::int64_t chunked_linear_attention_forward_workspace(const LinearAttentionForward& p,
                                                        const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(linear_forward_workspace_target)(p, context);
}

}  // namespace basin::kernels
#endif

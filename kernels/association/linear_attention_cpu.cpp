#include <algorithm>

#include "kernels/association/check.h"
#include "kernels/association/chunked_linear_attention.h"
#include "kernels/association/linear_attention.h"
#include "kernels/common/dispatch.h"
#include "kernels/common/row_math.h"
#include "kernels/simd/isa.h"

namespace basin::kernels {

namespace {

// phi(x) = elu(x) + 1 for a row; NaN stays NaN.
template <class T>
void features(const T* x, T* y, std::int64_t count) {
  for (std::int64_t d = 0; d < count; ++d) {
    y[d] = x[d] > T(0) ? x[d] + T(1) : exp_of(x[d] > T(0) ? T(0) : x[d]);
  }
}

// dx = dphi * phi'(x), given y = phi(x): 1 above 0, phi(x) itself below.
template <class T>
void features_backward(const T* x, const T* y, const T* dphi, T* dx, std::int64_t count) {
  for (std::int64_t d = 0; d < count; ++d) {
    dx[d] = dphi[d] * (x[d] > T(0) ? T(1) : y[d]);
  }
}

// One head's memory: a (D, Dv) matrix and a vector of D, plus two feature rows.
template <class T>
struct Memory {
  T* matrix;
  T* vector;
  T* row;
  T* other;
  std::int64_t D, Dv;

  static std::int64_t elements(std::int64_t D, std::int64_t Dv) { return D * Dv + 3 * D; }

  Memory(T* base, std::int64_t in_D, std::int64_t in_Dv)
      : matrix(base),
        vector(base + in_D * in_Dv),
        row(vector + in_D),
        other(row + in_D),
        D(in_D),
        Dv(in_Dv) {
    clear();
  }

  void clear() { std::fill(matrix, matrix + D * Dv + D, T(0)); }

  // matrix += a b^T, vector += scale a.
  void add(const T* a, const T* b, T scale) {
    for (std::int64_t d = 0; d < D; ++d) {
      row_add(matrix + d * Dv, b, Dv, a[d]);
      vector[d] += scale * a[d];
    }
  }
};

// Without vector instructions the products of chunks cost more than they save.
template <class P>
bool is_chunked(const P& p) {
  const bool floating = p.dtype == DType::f32 || p.dtype == DType::f64;
  return floating && (p.variant == 2 || (p.variant == 0 && isa() != Isa::baseline));
}

template <class T>
void forward_head(const LinearAttentionForward& p, std::int64_t b, std::int64_t h, T* scratch) {
  Memory<T> memory(scratch, p.D, p.Dv);
  const T* q = p.q.head<T>(b, h);
  const T* k = p.k.head<T>(b, h);
  const T* v = p.v.head<T>(b, h);
  T* out = p.out.head<T>(b, h);
  T* normaliser = static_cast<T*>(p.normaliser) + (b * p.H + h) * p.L;
  std::int64_t seen = 0;
  for (std::int64_t i = 0; i < p.L; ++i) {
    const std::int64_t count = visible_keys(p.key_lengths, b, p.causal, i, p.L, p.M);
    for (; seen < count; ++seen) {
      features(k + seen * p.k.row_stride, memory.row, p.D);
      memory.add(memory.row, v + seen * p.v.row_stride, T(1));
    }
    T* y = out + i * p.out.row_stride;
    std::fill(y, y + p.Dv, T(0));
    features(q + i * p.q.row_stride, memory.row, p.D);
    normaliser[i] = row_dot(memory.row, memory.vector, p.D) + static_cast<T>(p.eps);
    if (count == 0) {
      continue;
    }
    for (std::int64_t d = 0; d < p.D; ++d) {
      row_add(y, memory.matrix + d * p.Dv, p.Dv, memory.row[d]);
    }
    for (std::int64_t e = 0; e < p.Dv; ++e) {
      y[e] /= normaliser[i];
    }
  }
}

template <class T>
void backward_head(const LinearAttentionBackward& p, std::int64_t b, std::int64_t h, T* scratch,
                   T* row) {
  const T* q = p.q.head<T>(b, h);
  const T* k = p.k.head<T>(b, h);
  const T* v = p.v.head<T>(b, h);
  const T* out = p.out.head<T>(b, h);
  const T* dout = p.dout.head<T>(b, h);
  const T* normaliser = static_cast<const T*>(p.normaliser) + (b * p.H + h) * p.L;
  const auto count_of = [&](std::int64_t i) {
    return visible_keys(p.key_lengths, b, p.causal, i, p.L, p.M);
  };
  // g_i into `row`; returns c_i.
  const auto query_gradient = [&](std::int64_t i) {
    const T* dy = dout + i * p.dout.row_stride;
    for (std::int64_t e = 0; e < p.Dv; ++e) {
      row[e] = dy[e] / normaliser[i];
    }
    return -row_dot(dy, out + i * p.out.row_stride, p.Dv) / normaliser[i];
  };

  Memory<T> forward(scratch, p.D, p.Dv);
  std::int64_t seen = 0;
  for (std::int64_t i = 0; i < p.L; ++i) {
    const std::int64_t count = count_of(i);
    for (; seen < count; ++seen) {
      features(k + seen * p.k.row_stride, forward.row, p.D);
      forward.add(forward.row, v + seen * p.v.row_stride, T(1));
    }
    T* dq = p.dq.head<T>(b, h) + i * p.dq.row_stride;
    if (count == 0) {
      std::fill(dq, dq + p.D, T(0));
      continue;
    }
    const T c = query_gradient(i);
    features(q + i * p.q.row_stride, forward.row, p.D);
    for (std::int64_t d = 0; d < p.D; ++d) {
      forward.other[d] = row_dot(forward.matrix + d * p.Dv, row, p.Dv) + c * forward.vector[d];
    }
    features_backward(q + i * p.q.row_stride, forward.row, forward.other, dq, p.D);
  }

  Memory<T> reverse(scratch, p.D, p.Dv);
  std::int64_t i = p.L;
  for (std::int64_t j = p.M - 1; j >= 0; --j) {
    T* dk = p.dk.head<T>(b, h) + j * p.dk.row_stride;
    T* dv = p.dv.head<T>(b, h) + j * p.dv.row_stride;
    // Queries that see j but not j + 1. Visibility grows with i, so they come in falling order.
    for (; i > 0 && count_of(i - 1) > j; --i) {
      const T c = query_gradient(i - 1);
      features(q + (i - 1) * p.q.row_stride, reverse.row, p.D);
      reverse.add(reverse.row, row, c);
    }
    std::fill(dv, dv + p.Dv, T(0));
    if (i == p.L) {  // nobody sees this key: it may hold NaN
      std::fill(dk, dk + p.D, T(0));
      continue;
    }
    features(k + j * p.k.row_stride, reverse.row, p.D);
    const T* value = v + j * p.v.row_stride;
    for (std::int64_t d = 0; d < p.D; ++d) {
      row_add(dv, reverse.matrix + d * p.Dv, p.Dv, reverse.row[d]);
      reverse.other[d] = row_dot(reverse.matrix + d * p.Dv, value, p.Dv) + reverse.vector[d];
    }
    features_backward(k + j * p.k.row_stride, reverse.row, reverse.other, dk, p.D);
  }
}

}  // namespace

std::int64_t linear_attention_forward_workspace(const LinearAttentionForward& p,
                                                const CpuContext& context) {
  if (is_chunked(p)) {
    return chunked_linear_attention_forward_workspace(p, context);
  }
  return context.pool->threads() * Memory<double>::elements(p.D, p.Dv) *
         static_cast<std::int64_t>(size_of(p.dtype));
}

Status linear_attention_forward(const LinearAttentionForward& p, const CpuContext& context) {
  if (const Status status = check_attention(p, 2); !status.ok()) {
    return status;
  }
  if (is_chunked(p)) {
    chunked_linear_attention_forward(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    context.pool->run(p.B * p.H, [&](std::int64_t head) {
      T* scratch = static_cast<T*>(p.workspace) +
                   ThreadPool::thread_index() * Memory<T>::elements(p.D, p.Dv);
      forward_head<T>(p, head / p.H, head % p.H, scratch);
    });
    return Status{};
  });
}

std::int64_t linear_attention_backward_workspace(const LinearAttentionBackward& p,
                                                 const CpuContext& context) {
  if (is_chunked(p)) {
    return chunked_linear_attention_backward_workspace(p, context);
  }
  return context.pool->threads() * (Memory<double>::elements(p.D, p.Dv) + p.Dv) *
         static_cast<std::int64_t>(size_of(p.dtype));
}

Status linear_attention_backward(const LinearAttentionBackward& p, const CpuContext& context) {
  if (const Status status = check_attention(p, 2); !status.ok()) {
    return status;
  }
  if (is_chunked(p)) {
    chunked_linear_attention_backward(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t elements = Memory<T>::elements(p.D, p.Dv) + p.Dv;
    context.pool->run(p.B * p.H, [&](std::int64_t head) {
      T* scratch = static_cast<T*>(p.workspace) + ThreadPool::thread_index() * elements;
      backward_head<T>(p, head / p.H, head % p.H, scratch, scratch + elements - p.Dv);
    });
    return Status{};
  });
}

}  // namespace basin::kernels

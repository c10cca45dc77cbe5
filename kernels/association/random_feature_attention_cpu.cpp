// Random features on the CPU, a key at a time. Everything that could overflow is kept as an
// exponent: a feature of the memory is (sum of e^(b_j - top) v_j, sum of e^(b_j - top), top), top
// the largest exponent that went in. A query combines features by their weights relative to the
// largest a + top, whose sum is at least 1: no quotient of two underflows.
#include "kernels/association/random_feature_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/association/random_feature_check.h"
#include "kernels/common/dispatch.h"
#include "kernels/common/row_math.h"

namespace basin::kernels {

namespace {

// What both directions know of one head.
template <class T, class P>
struct Head {
  const P& p;
  std::int64_t b, h;
  const T *q, *k, *v, *projection;
  T root;  // of beta

  Head(const P& in, std::int64_t head)
      : p(in),
        b(head / in.H),
        h(head % in.H),
        q(in.q.template head<T>(b, h)),
        k(in.k.template head<T>(b, h)),
        v(in.v.template head<T>(b, h)),
        projection(static_cast<const T*>(in.projection)),
        root(static_cast<T>(std::sqrt(static_cast<double>(static_cast<const T*>(in.beta)[h])))) {}

  std::int64_t visible(std::int64_t i) const {
    return visible_keys(p.key_lengths, b, p.causal, i, p.L, p.M);
  }
  /// scaled = x' and logs[r] = ln phi(x)_r, for a query without the term that cancels.
  void features(const T* x, bool is_key, T* scaled, T* logs) const {
    for (std::int64_t d = 0; d < p.D; ++d) {
      scaled[d] = root * x[d];
    }
    const T half = is_key ? row_dot(scaled, scaled, p.D) / 2 : T(0);
    for (std::int64_t r = 0; r < p.features; ++r) {
      const T inner = row_dot(projection + r * p.D, scaled, p.D);
      if (p.map == FeatureMap::positive) {
        logs[r] = inner - half;
      } else {
        const T floor = static_cast<T>(kReluFeatureFloor);
        logs[r] = std::log(inner <= 0 ? floor : inner + floor);
      }
    }
  }
  /// dx from the gradients of the logs.
  void features_backward(const T* scaled, const T* logs, const T* dlogs, bool is_key, T* dx) const {
    std::fill(dx, dx + p.D, T(0));
    T sum = 0;
    for (std::int64_t r = 0; r < p.features; ++r) {
      T slope = dlogs[r];
      if (p.map == FeatureMap::relu) {
        // d ln(w + floor) / dw where w > 0.
        const T inner = row_dot(projection + r * p.D, scaled, p.D);
        slope = inner <= 0 ? T(0) : slope * std::exp(-logs[r]);
      }
      sum += slope;
      row_add(dx, projection + r * p.D, p.D, slope);
    }
    if (is_key && p.map == FeatureMap::positive) {
      row_add(dx, scaled, p.D, -sum);
    }
    for (std::int64_t d = 0; d < p.D; ++d) {
      dx[d] *= root;
    }
  }
};

// A vector and a number per feature, each times e^top.
template <class T>
struct Memory {
  std::int64_t features, width;
  T *rows, *sums, *top;

  static std::int64_t elements(std::int64_t features, std::int64_t width) {
    return features * (width + 2);
  }
  Memory(T* data, std::int64_t in_features, std::int64_t in_width)
      : features(in_features),
        width(in_width),
        rows(data),
        sums(rows + features * width),
        top(sums + features) {
    std::fill(data, data + features * (width + 1), T(0));
    std::fill(top, top + features, -std::numeric_limits<T>::infinity());
  }
  /// Adds e^logs[r] (row, number) to every feature.
  void add(const T* logs, const T* row, T number) {
    for (std::int64_t r = 0; r < features; ++r) {
      T* to = rows + r * width;
      T weight = 1;
      if (!(logs[r] <= top[r])) {  // also for NaN, which then stays
        const T keep = exp_of(top[r] - logs[r]);
        for (std::int64_t c = 0; c < width; ++c) {
          to[c] *= keep;
        }
        sums[r] *= keep;
        top[r] = logs[r];
      } else {
        weight = exp_of(logs[r] - top[r]);
      }
      row_add(to, row, width, weight);
      sums[r] += weight * number;
    }
  }
};

template <class T>
std::int64_t forward_elements(const RandomFeatureForward& p) {
  return Memory<T>::elements(p.features, p.Dv) + p.features + p.D;
}

template <class T>
void forward_head(const RandomFeatureForward& p, std::int64_t at, T* scratch) {
  const Head<T, RandomFeatureForward> head(p, at);
  Memory<T> memory(scratch, p.features, p.Dv);
  T* logs = scratch + Memory<T>::elements(p.features, p.Dv);
  T* scaled = logs + p.features;
  T* normaliser = static_cast<T*>(p.log_normaliser) + at * p.L;
  T* out = p.out.head<T>(head.b, head.h);
  std::int64_t seen = 0;
  for (std::int64_t i = 0; i < p.L; ++i) {
    for (const std::int64_t count = head.visible(i); seen < count; ++seen) {
      head.features(head.k + seen * p.k.row_stride, true, scaled, logs);
      memory.add(logs, head.v + seen * p.v.row_stride, T(1));
    }
    T* y = out + i * p.out.row_stride;
    std::fill(y, y + p.Dv, T(0));
    normaliser[i] = -std::numeric_limits<T>::infinity();
    if (seen == 0) {
      continue;
    }
    head.features(head.q + i * p.q.row_stride, false, scaled, logs);
    for (std::int64_t r = 0; r < p.features; ++r) {
      logs[r] += memory.top[r];
    }
    const T top = row_max(logs, p.features);
    T sum = 0;
    for (std::int64_t r = 0; r < p.features; ++r) {
      const T weight = exp_of(logs[r] - top);
      sum += weight * memory.sums[r];
      row_add(y, memory.rows + r * p.Dv, p.Dv, weight);
    }
    for (std::int64_t c = 0; c < p.Dv; ++c) {
      y[c] /= sum;
    }
    normaliser[i] = top + std::log(sum);
  }
}

template <class T>
std::int64_t backward_elements(const RandomFeatureBackward& p) {
  return Memory<T>::elements(p.features, p.Dv) + 2 * p.features + p.D;
}

template <class T>
double backward_head(const RandomFeatureBackward& p, std::int64_t at, T* scratch) {
  const Head<T, RandomFeatureBackward> head(p, at);
  T* logs = scratch + Memory<T>::elements(p.features, p.Dv);
  T* dlogs = logs + p.features;
  T* scaled = dlogs + p.features;
  const T* normaliser = static_cast<const T*>(p.log_normaliser) + at * p.L;
  const auto dout_of = [&](std::int64_t i) {
    return p.dout.head<T>(head.b, head.h) + i * p.dout.row_stride;
  };
  const auto delta_of = [&](std::int64_t i) {
    return row_dot(dout_of(i), p.out.head<T>(head.b, head.h) + i * p.out.row_stride, p.Dv);
  };
  double dbeta = 0;

  Memory<T> forward(scratch, p.features, p.Dv);
  std::int64_t seen = 0;
  for (std::int64_t i = 0; i < p.L; ++i) {
    for (const std::int64_t count = head.visible(i); seen < count; ++seen) {
      head.features(head.k + seen * p.k.row_stride, true, scaled, logs);
      forward.add(logs, head.v + seen * p.v.row_stride, T(1));
    }
    T* dq = p.dq.head<T>(head.b, head.h) + i * p.dq.row_stride;
    if (seen == 0) {
      std::fill(dq, dq + p.D, T(0));
      continue;
    }
    const T* q = head.q + i * p.q.row_stride;
    const T delta = delta_of(i);
    head.features(q, false, scaled, logs);
    for (std::int64_t r = 0; r < p.features; ++r) {
      const T weight = exp_of(logs[r] + forward.top[r] - normaliser[i]);
      dlogs[r] =
          weight * (row_dot(forward.rows + r * p.Dv, dout_of(i), p.Dv) - delta * forward.sums[r]);
    }
    head.features_backward(scaled, logs, dlogs, false, dq);
    dbeta += static_cast<double>(row_dot(q, dq, p.D));
  }

  // The mirror image: of the queries that see key j, e^(a_i - ln n_i) (dout_i, -delta_i).
  Memory<T> reverse(scratch, p.features, p.Dv);
  std::int64_t i = p.L;
  for (std::int64_t j = p.M - 1; j >= 0; --j) {
    // Queries that see j but not j + 1. Visibility grows with i, so they come in falling order.
    for (; i > 0 && head.visible(i - 1) > j; --i) {
      head.features(head.q + (i - 1) * p.q.row_stride, false, scaled, logs);
      for (std::int64_t r = 0; r < p.features; ++r) {
        logs[r] -= normaliser[i - 1];
      }
      reverse.add(logs, dout_of(i - 1), -delta_of(i - 1));
    }
    T* dk = p.dk.head<T>(head.b, head.h) + j * p.dk.row_stride;
    T* dv = p.dv.head<T>(head.b, head.h) + j * p.dv.row_stride;
    std::fill(dv, dv + p.Dv, T(0));
    if (i == p.L) {  // nobody sees this key: it may hold NaN
      std::fill(dk, dk + p.D, T(0));
      continue;
    }
    const T* k = head.k + j * p.k.row_stride;
    head.features(k, true, scaled, logs);
    for (std::int64_t r = 0; r < p.features; ++r) {
      const T weight = exp_of(logs[r] + reverse.top[r]);
      dlogs[r] = weight * (row_dot(reverse.rows + r * p.Dv, head.v + j * p.v.row_stride, p.Dv) +
                           reverse.sums[r]);
      row_add(dv, reverse.rows + r * p.Dv, p.Dv, weight);
    }
    head.features_backward(scaled, logs, dlogs, true, dk);
    dbeta += static_cast<double>(row_dot(k, dk, p.D));
  }
  return dbeta / (2 * static_cast<double>(static_cast<const T*>(p.beta)[head.h]));
}

template <class P>
Status check(const P& p) {
  if (const Status status = check_random_features(p, 1); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for (std::int64_t h = 0; h < p.H; ++h) {
      if (!(static_cast<const T*>(p.beta)[h] > 0)) {
        return Status::invalid("random_feature_attention: beta must be above 0", h);
      }
    }
    return Status{};
  });
}

}  // namespace

std::int64_t random_feature_forward_workspace(const RandomFeatureForward& p,
                                              const CpuContext& context) {
  return context.pool->threads() * forward_elements<double>(p) *
         static_cast<std::int64_t>(size_of(p.dtype));
}

Status random_feature_forward(const RandomFeatureForward& p, const CpuContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    context.pool->run(p.B * p.H, [&](std::int64_t head) {
      forward_head<T>(
          p, head,
          static_cast<T*>(p.workspace) + ThreadPool::thread_index() * forward_elements<T>(p));
    });
    return Status{};
  });
}

std::int64_t random_feature_backward_workspace(const RandomFeatureBackward& p,
                                               const CpuContext& context) {
  return p.B * p.H * static_cast<std::int64_t>(sizeof(double)) +
         context.pool->threads() * backward_elements<double>(p) *
             static_cast<std::int64_t>(size_of(p.dtype));
}

Status random_feature_backward(const RandomFeatureBackward& p, const CpuContext& context) {
  if (const Status status = check(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    double* dbeta = static_cast<double*>(p.workspace);
    T* scratch = reinterpret_cast<T*>(dbeta + p.B * p.H);
    context.pool->run(p.B * p.H, [&](std::int64_t head) {
      dbeta[head] =
          backward_head<T>(p, head, scratch + ThreadPool::thread_index() * backward_elements<T>(p));
    });
    sum_over_items<T>(p.B, p.H, dbeta, p.dbeta);
    return Status{};
  });
}

}  // namespace basin::kernels

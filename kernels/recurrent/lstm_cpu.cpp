#include <algorithm>
#include <cstring>

#include "kernels/common/dispatch.h"
#include "kernels/common/math.h"
#include "kernels/gemm/blas.h"
#include "kernels/recurrent/check.h"
#include "kernels/recurrent/packed.h"

namespace basin::kernels {

namespace {

// Batch items that go through time together: their recurrent products are one matrix product.
constexpr std::int64_t kItems = 16;

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + exp_of(-x));
}

}  // namespace

std::int64_t lstm_forward_workspace(const LstmForward& p) {
  return recurrence_variant(p) == 2 ? lstm_forward_packed_workspace(p) : 0;
}

Status lstm_forward(const LstmForward& p, const CpuContext& context) {
  if (const Status status = check_recurrence(p, lstm_forward_workspace(p)); !status.ok()) {
    return status;
  }
  if (p.B == 0 || p.L == 0) {
    return {};
  }
  if (recurrence_variant(p) == 2) {
    lstm_forward_packed(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t W = p.width;
    const std::int64_t item = p.L * W;
    for_ranges(context, p.B, kItems, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = 0; t < p.L; ++t) {
        const std::int64_t at = begin * item + t * W;
        T* a = static_cast<T*>(p.gates) + 4 * at;
        for (std::int64_t b = 0; b < end - begin; ++b) {
          std::memmove(a + 4 * b * item, static_cast<const T*>(p.x) + 4 * (at + b * item),
                       static_cast<std::size_t>(4 * W) * sizeof(T));
        }
        T* h = static_cast<T*>(p.h) + at;
        T* c = static_cast<T*>(p.c) + at;
        if (t > 0) {
          blas::gemm(false, true, end - begin, 4 * W, W, T(1), h - W, item,
                     static_cast<const T*>(p.weight), W, T(1), a, 4 * item);
        }
        for (std::int64_t b = 0; b < end - begin; ++b) {
          T* i = a + 4 * b * item;
          T* f = i + W;
          T* g = f + W;
          T* o = g + W;
          T* c_row = c + b * item;
          for (std::int64_t n = 0; n < W; ++n) {
            i[n] = sigmoid(i[n]);
            f[n] = sigmoid(f[n]);
            g[n] = tanh_of(g[n]);
            o[n] = sigmoid(o[n]);
            c_row[n] = (t > 0 ? f[n] * c_row[n - W] : T(0)) + i[n] * g[n];
            h[b * item + n] = o[n] * tanh_of(c_row[n]);
          }
        }
      }
    });
    return Status{};
  });
}

std::int64_t lstm_backward_workspace(const LstmBackward& p) {
  return recurrence_variant(p) == 2
             ? lstm_backward_packed_workspace(p)
             : static_cast<std::int64_t>(size_of(p.dtype)) * 2 * p.B * p.width;
}

Status lstm_backward(const LstmBackward& p, const CpuContext& context) {
  if (const Status status = check_recurrence(p, lstm_backward_workspace(p)); !status.ok()) {
    return status;
  }
  if (p.B == 0 || p.L == 0) {
    return {};
  }
  if (recurrence_variant(p) == 2) {
    lstm_backward_packed(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t W = p.width;
    const std::int64_t item = p.L * W;
    for_ranges(context, p.B, kItems, [&](std::int64_t begin, std::int64_t end) {
      T* later_h = static_cast<T*>(p.workspace) + begin * W;
      T* later_c = static_cast<T*>(p.workspace) + (p.B + begin) * W;
      std::fill(later_h, later_h + (end - begin) * W, T(0));
      std::fill(later_c, later_c + (end - begin) * W, T(0));
      for (std::int64_t t = p.L - 1; t >= 0; --t) {
        const std::int64_t at = begin * item + t * W;
        T* dx = static_cast<T*>(p.dx) + 4 * at;
        for (std::int64_t b = 0; b < end - begin; ++b) {
          const T* i = static_cast<const T*>(p.gates) + 4 * (at + b * item);
          const T* f = i + W;
          const T* g = f + W;
          const T* o = g + W;
          const T* c = static_cast<const T*>(p.c) + at + b * item;
          const T* dh = static_cast<const T*>(p.dh) + at + b * item;
          T* da = dx + 4 * b * item;
          for (std::int64_t n = 0; n < W; ++n) {
            const T total = dh[n] + later_h[b * W + n];
            const T tanh_c = tanh_of(c[n]);
            const T dc = later_c[b * W + n] + total * o[n] * (T(1) - tanh_c * tanh_c);
            const T before = t > 0 ? c[n - W] : T(0);
            da[n] = dc * g[n] * i[n] * (T(1) - i[n]);
            da[W + n] = dc * before * f[n] * (T(1) - f[n]);
            da[2 * W + n] = dc * i[n] * (T(1) - g[n] * g[n]);
            da[3 * W + n] = total * tanh_c * o[n] * (T(1) - o[n]);
            later_c[b * W + n] = dc * f[n];
          }
        }
        if (t > 0) {
          blas::gemm(false, false, end - begin, W, 4 * W, T(1), dx, 4 * item,
                     static_cast<const T*>(p.weight), W, T(0), later_h, W);
        }
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels

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

std::int64_t gru_forward_workspace(const GruForward& p) {
  return recurrence_variant(p) == 2
             ? gru_forward_packed_workspace(p)
             : static_cast<std::int64_t>(size_of(p.dtype)) * 3 * p.B * p.width;
}

Status gru_forward(const GruForward& p, const CpuContext& context) {
  if (const Status status = check_recurrence(p, gru_forward_workspace(p)); !status.ok()) {
    return status;
  }
  if (p.B == 0 || p.L == 0) {
    return {};
  }
  if (recurrence_variant(p) == 2) {
    gru_forward_packed(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t W = p.width;
    const std::int64_t item = p.L * W;
    for_ranges(context, p.B, kItems, [&](std::int64_t begin, std::int64_t end) {
      T* a = static_cast<T*>(p.workspace) + 3 * begin * W;
      for (std::int64_t t = 0; t < p.L; ++t) {
        const std::int64_t at = begin * item + t * W;
        T* h = static_cast<T*>(p.h) + at;
        for (std::int64_t b = 0; b < end - begin; ++b) {
          std::memcpy(a + 3 * b * W, p.bias, static_cast<std::size_t>(3 * W) * sizeof(T));
        }
        if (t > 0) {
          blas::gemm(false, true, end - begin, 3 * W, W, T(1), h - W, item,
                     static_cast<const T*>(p.weight), W, T(1), a, 3 * W);
        }
        for (std::int64_t b = 0; b < end - begin; ++b) {
          const T* x = static_cast<const T*>(p.x) + 3 * (at + b * item);
          const T* a_row = a + 3 * b * W;
          T* r = static_cast<T*>(p.saved) + 4 * (at + b * item);
          T* z = r + W;
          T* n = z + W;
          T* a_n = n + W;
          T* h_row = h + b * item;
          for (std::int64_t c = 0; c < W; ++c) {
            r[c] = sigmoid(x[c] + a_row[c]);
            z[c] = sigmoid(x[W + c] + a_row[W + c]);
            a_n[c] = a_row[2 * W + c];
            n[c] = tanh_of(x[2 * W + c] + r[c] * a_n[c]);
            h_row[c] = (T(1) - z[c]) * n[c] + (t > 0 ? z[c] * h_row[c - W] : T(0));
          }
        }
      }
    });
    return Status{};
  });
}

std::int64_t gru_backward_workspace(const GruBackward& p) {
  return recurrence_variant(p) == 2
             ? gru_backward_packed_workspace(p)
             : static_cast<std::int64_t>(size_of(p.dtype)) * 2 * p.B * p.width;
}

Status gru_backward(const GruBackward& p, const CpuContext& context) {
  if (const Status status = check_recurrence(p, gru_backward_workspace(p)); !status.ok()) {
    return status;
  }
  if (p.B == 0 || p.L == 0) {
    return {};
  }
  if (recurrence_variant(p) == 2) {
    gru_backward_packed(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t W = p.width;
    const std::int64_t item = p.L * W;
    for_ranges(context, p.B, kItems, [&](std::int64_t begin, std::int64_t end) {
      // The gradient by h_t from later steps comes through z directly and through W.
      T* direct = static_cast<T*>(p.workspace) + begin * W;
      T* through = static_cast<T*>(p.workspace) + (p.B + begin) * W;
      std::fill(direct, direct + (end - begin) * W, T(0));
      std::fill(through, through + (end - begin) * W, T(0));
      for (std::int64_t t = p.L - 1; t >= 0; --t) {
        const std::int64_t at = begin * item + t * W;
        for (std::int64_t b = 0; b < end - begin; ++b) {
          const T* r = static_cast<const T*>(p.saved) + 4 * (at + b * item);
          const T* z = r + W;
          const T* n = z + W;
          const T* a_n = n + W;
          const T* h = static_cast<const T*>(p.h) + at + b * item;
          const T* dh = static_cast<const T*>(p.dh) + at + b * item;
          T* dx = static_cast<T*>(p.dx) + 3 * (at + b * item);
          T* da = static_cast<T*>(p.da) + 3 * (at + b * item);
          for (std::int64_t c = 0; c < W; ++c) {
            const T total = dh[c] + direct[b * W + c] + through[b * W + c];
            const T before = t > 0 ? h[c - W] : T(0);
            const T dn = total * (T(1) - z[c]) * (T(1) - n[c] * n[c]);
            dx[c] = dn * a_n[c] * r[c] * (T(1) - r[c]);
            dx[W + c] = total * (before - n[c]) * z[c] * (T(1) - z[c]);
            dx[2 * W + c] = dn;
            da[c] = dx[c];
            da[W + c] = dx[W + c];
            da[2 * W + c] = dn * r[c];
            direct[b * W + c] = total * z[c];
          }
        }
        if (t > 0) {
          blas::gemm(false, false, end - begin, W, 3 * W, T(1),
                     static_cast<const T*>(p.da) + 3 * at, 3 * item,
                     static_cast<const T*>(p.weight), W, T(0), through, W);
        }
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels

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

}  // namespace

std::int64_t rnn_forward_workspace(const RnnForward& p) {
  return recurrence_variant(p) == 2 ? rnn_forward_packed_workspace(p) : 0;
}

Status rnn_forward(const RnnForward& p, const CpuContext& context) {
  if (const Status status = check_recurrence(p, rnn_forward_workspace(p)); !status.ok()) {
    return status;
  }
  if (p.B == 0 || p.L == 0) {
    return {};
  }
  if (recurrence_variant(p) == 2) {
    rnn_forward_packed(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t item = p.L * p.width;
    const T* weight = static_cast<const T*>(p.weight);
    for_ranges(context, p.B, kItems, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = 0; t < p.L; ++t) {
        const T* x = static_cast<const T*>(p.x) + begin * item + t * p.width;
        T* h = static_cast<T*>(p.h) + begin * item + t * p.width;
        for (std::int64_t b = 0; b < end - begin; ++b) {
          std::memmove(h + b * item, x + b * item, static_cast<std::size_t>(p.width) * sizeof(T));
        }
        if (t > 0) {
          blas::gemm(false, true, end - begin, p.width, p.width, T(1), h - p.width, item, weight,
                     p.width, T(1), h, item);
        }
        for (std::int64_t b = 0; b < end - begin; ++b) {
          T* row = h + b * item;
          if (p.nonlinearity == Nonlinearity::tanh) {
            for (std::int64_t c = 0; c < p.width; ++c) {
              row[c] = tanh_of(row[c]);
            }
          } else {
            for (std::int64_t c = 0; c < p.width; ++c) {
              row[c] = row[c] <= T(0) ? T(0) : row[c];  // NaN stays
            }
          }
        }
      }
    });
    return Status{};
  });
}

std::int64_t rnn_backward_workspace(const RnnBackward& p) {
  return recurrence_variant(p) == 2 ? rnn_backward_packed_workspace(p)
                                    : static_cast<std::int64_t>(size_of(p.dtype)) * p.B * p.width;
}

Status rnn_backward(const RnnBackward& p, const CpuContext& context) {
  if (const Status status = check_recurrence(p, rnn_backward_workspace(p)); !status.ok()) {
    return status;
  }
  if (p.B == 0 || p.L == 0) {
    return {};
  }
  if (recurrence_variant(p) == 2) {
    rnn_backward_packed(p, context);
    return {};
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const std::int64_t item = p.L * p.width;
    const T* weight = static_cast<const T*>(p.weight);
    for_ranges(context, p.B, kItems, [&](std::int64_t begin, std::int64_t end) {
      T* carried = static_cast<T*>(p.workspace) + begin * p.width;  // W^T dx_(t+1)
      for (std::int64_t t = p.L - 1; t >= 0; --t) {
        const std::int64_t at = begin * item + t * p.width;
        T* dx = static_cast<T*>(p.dx) + at;
        for (std::int64_t b = 0; b < end - begin; ++b) {
          const T* h = static_cast<const T*>(p.h) + at + b * item;
          const T* dh = static_cast<const T*>(p.dh) + at + b * item;
          for (std::int64_t c = 0; c < p.width; ++c) {
            const T slope = p.nonlinearity == Nonlinearity::tanh ? T(1) - h[c] * h[c]
                                                                 : (h[c] > T(0) ? T(1) : T(0));
            const T later = t + 1 < p.L ? carried[b * p.width + c] : T(0);
            dx[b * item + c] = slope * (dh[c] + later);
          }
        }
        if (t > 0) {
          blas::gemm(false, false, end - begin, p.width, p.width, T(1), dx, item, weight, p.width,
                     T(0), carried, p.width);
        }
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels

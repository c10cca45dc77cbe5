#include <algorithm>
#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/loss/cross_entropy.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/loss/cross_entropy_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace {

std::int64_t rows_per_chunk(std::int64_t classes) {
  return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, classes));
}

template <class P>
Status check_targets(const P& p) {
  for (std::int64_t r = 0; r < p.rows; ++r) {
    if (p.targets[r] != p.ignore_index && (p.targets[r] < 0 || p.targets[r] >= p.classes)) {
      return Status::invalid("cross_entropy: a target lies outside the classes", r);
    }
  }
  return {};
}

}  // namespace

Status cross_entropy_forward_target(const CrossEntropyForward& p, const CpuContext& context) {
  if (const Status status = check_targets(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T smoothing = static_cast<T>(p.label_smoothing);
    for_ranges(context, p.rows, rows_per_chunk(p.classes),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   T& loss = static_cast<T*>(p.row_loss)[r];
                   T& lse = static_cast<T*>(p.lse)[r];
                   if (p.targets[r] == p.ignore_index) {
                     loss = 0;
                     lse = 0;
                     continue;
                   }
                   const T* x = static_cast<const T*>(p.logits) + r * p.classes;
                   const T shift = vector_max(x, p.classes);
                   lse = shift + std::log(vector_sum_exp(x, p.classes, shift));
                   // lse - x rather than -log p: with x far above the rest this is 0, never -0 or
                   // NaN.
                   loss = lse - x[p.targets[r]];
                   if (smoothing != T(0)) {
                     T mean = 0;
                     for (std::int64_t c = 0; c < p.classes; ++c) {
                       mean += x[c];
                     }
                     mean /= static_cast<T>(p.classes);
                     loss = (T(1) - smoothing) * loss + smoothing * (lse - mean);
                   }
                 }
               });
    return Status{};
  });
}

// Numbers by value: a store to dx could change one that is read through a reference.
template <class T>
void slope_row(const T* x, T* dx, std::int64_t classes, T lse, T scale, T even) {
  for (std::int64_t c = 0; c < classes; ++c) {
    dx[c] = scale * (exp_of(x[c] - lse) - even);
  }
}

Status cross_entropy_backward_target(const CrossEntropyBackward& p, const CpuContext& context) {
  if (const Status status = check_targets(p); !status.ok()) {
    return status;
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const T scale = static_cast<T>(p.scale);
    const T even = static_cast<T>(p.label_smoothing / static_cast<double>(p.classes));
    const T hit = static_cast<T>(1.0 - p.label_smoothing);
    for_ranges(context, p.rows, rows_per_chunk(p.classes),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   const T* x = static_cast<const T*>(p.logits) + r * p.classes;
                   T* dx = static_cast<T*>(p.dlogits) + r * p.classes;
                   if (p.targets[r] == p.ignore_index) {
                     std::fill(dx, dx + p.classes, T(0));
                     continue;
                   }
                   slope_row(x, dx, p.classes, static_cast<const T*>(p.lse)[r], scale, even);
                   dx[p.targets[r]] -= scale * hit;
                 }
               });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(cross_entropy_forward_target);
HWY_EXPORT(cross_entropy_backward_target);

Status cross_entropy_forward(const CrossEntropyForward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(cross_entropy_forward_target)(p, context);
}

Status cross_entropy_backward(const CrossEntropyBackward& p, const CpuContext& context) {
  return HWY_DYNAMIC_DISPATCH(cross_entropy_backward_target)(p, context);
}

}  // namespace basin::kernels
#endif

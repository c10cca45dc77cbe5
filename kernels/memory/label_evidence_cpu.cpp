#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/dispatch.h"
#include "kernels/memory/label_evidence.h"
#include "kernels/memory/label_evidence_steps.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/memory/label_evidence_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<double, 8>;

struct Power {
  std::int64_t degree;
  // y^(degree - 1) by squaring.
  template <class V>
  HWY_INLINE V below(D d, V y) const {
    V result = hn::Set(d, 1.0);
    for (std::int64_t left = degree - 1; left > 0; left >>= 1) {
      if ((left & 1) != 0) {
        result = hn::Mul(result, y);
      }
      if (left > 1) {
        y = hn::Mul(y, y);
      }
    }
    return result;
  }
};

struct PlainPower : Power {
  template <class V>
  HWY_INLINE V argument(D d, V off, V step) const {
    (void)d;
    return hn::Add(off, step);
  }
};

struct RectifiedPower : Power {
  template <class V>
  HWY_INLINE V argument(D d, V off, V step) const {
    const V y = hn::Add(off, step);
    return hn::IfThenZeroElse(hn::Le(y, hn::Zero(d)), y);  // NaN stays
  }
  // 0 also where the degree is 1 and the power is 0^0: below the kink nothing changes.
  template <class V>
  HWY_INLINE V below(D d, V y) const {
    return hn::IfThenZeroElse(hn::Le(y, hn::Zero(d)), Power::below(d, y));
  }
};

// For powers base = y, the argument with all labels off.
template <class P>
struct OfPowers {
  P p;
  template <class T>
  void begin_row(const T* z, const double* off, double scale, std::int64_t K, double* base) const {
    for (std::int64_t k = 0; k < K; ++k) {
      base[k] = (static_cast<double>(z[k]) - off[k]) / scale;
    }
  }
  template <class V>
  HWY_INLINE V difference(D d, V base, V step) const {
    const V none = p.argument(d, base, hn::Zero(d));
    const V one = p.argument(d, base, step);
    return hn::Sub(hn::Mul(p.below(d, one), one), hn::Mul(p.below(d, none), none));
  }
  // F' / (degree / scale)
  template <class V>
  HWY_INLINE V slope(D d, V base, V step) const {
    return p.below(d, p.argument(d, base, step));
  }
};

// For the exponential base = F with all labels off, and a label on multiplies it by 1 + step.
struct OfExponential {
  double degree;
  template <class T>
  void begin_row(const T* z, const double* off, double scale, std::int64_t K, double* base) const {
    for (std::int64_t k = 0; k < K; ++k) {
      base[k] = std::exp(degree * ((static_cast<double>(z[k]) - off[k]) / scale - 1.0));
    }
  }
  template <class V>
  HWY_INLINE V difference(D d, V base, V step) const {
    (void)d;
    return hn::Mul(base, step);
  }
  template <class V>
  HWY_INLINE V slope(D d, V base, V step) const {
    (void)d;
    return hn::Add(base, hn::Mul(base, step));
  }
};

template <class F>
auto with_interaction(const InteractionOf& by, F&& f) {
  switch (by.kind) {
    case Interaction::power: return f(OfPowers<PlainPower>{{by.degree}});
    case Interaction::rectified: return f(OfPowers<RectifiedPower>{{by.degree}});
    case Interaction::exponential: break;
  }
  return f(OfExponential{static_cast<double>(by.degree)});
}

template <class Of>
HWY_INLINE double evidence_of(const Of& of, const double* base, const double* step,
                              std::int64_t width) {
  const D d;
  auto sum = hn::Zero(d);
  for (std::int64_t k = 0; k < width; k += static_cast<std::int64_t>(hn::Lanes(d))) {
    sum = hn::Add(sum, of.difference(d, hn::Load(d, base + k), hn::Load(d, step + k)));
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

template <class Of>
HWY_INLINE void add_slopes(const Of& of, const double* base, const double* step, double by,
                           double* sums, double* labels, std::int64_t width) {
  const D d;
  const auto factor = hn::Set(d, by);
  for (std::int64_t k = 0; k < width; k += static_cast<std::int64_t>(hn::Lanes(d))) {
    const auto b = hn::Load(d, base + k);
    const auto on = of.slope(d, b, hn::Load(d, step + k));
    const auto none = of.slope(d, b, hn::Zero(d));
    hn::Store(hn::Add(hn::Load(d, sums + k), hn::Mul(factor, hn::Sub(on, none))), d, sums + k);
    hn::Store(hn::Add(hn::Load(d, labels + k), hn::Mul(factor, on)), d, labels + k);
  }
}

template <class T>
T normal_or_zero(double x) {
  return std::abs(x) < static_cast<double>(std::numeric_limits<T>::min()) ? T(0)
                                                                          : static_cast<T>(x);
}

Status label_evidence_forward_target(const LabelEvidenceForward& p, const CpuContext& context) {
  const std::int64_t width = padded(p.K);
  auto* const memory = static_cast<double*>(p.workspace);
  const Steps steps{memory, memory + p.C * width};
  double* const rows = steps.off + width;
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    make_steps(static_cast<const T*>(p.labels), p.by, p.K, p.C, steps);
    with_interaction(p.by, [&](const auto& of) {
      for_ranges(context, p.B, kRowsForward, [&](std::int64_t begin, std::int64_t end) {
        double* const base = rows + ThreadPool::thread_index() * width;
        std::fill(base, base + width, 0.0);
        for (std::int64_t b = begin; b < end; ++b) {
          of.begin_row(static_cast<const T*>(p.overlaps) + b * p.K, steps.off, p.by.scale, p.K,
                       base);
          for (std::int64_t c = 0; c < p.C; ++c) {
            static_cast<T*>(p.evidence)[b * p.C + c] =
                static_cast<T>(evidence_of(of, base, steps.step + c * width, width));
          }
        }
      });
    });
    return Status{};
  });
}

Status label_evidence_backward_target(const LabelEvidenceBackward& p, const CpuContext& context) {
  const std::int64_t width = padded(p.K);
  const std::int64_t count = pieces(p.B);
  auto* const memory = static_cast<double*>(p.workspace);
  const Steps steps{memory, memory + p.C * width};
  double* const rows = steps.off + width;
  // Of each piece: what labels gain, and what all of them lose.
  double* const partials = rows + 2 * context.pool->threads() * width;
  const std::int64_t piece_size = (p.C + 1) * width;
  const double factor = static_cast<double>(p.by.degree) / p.by.scale;
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    make_steps(static_cast<const T*>(p.labels), p.by, p.K, p.C, steps);
    with_interaction(p.by, [&](const auto& of) {
      for_ranges(context, p.B, rows_of_piece(p.B), [&](std::int64_t begin, std::int64_t end) {
        double* const base = rows + 2 * ThreadPool::thread_index() * width;
        double* const sums = base + width;
        double* const gained = partials + begin / rows_of_piece(p.B) * piece_size;
        double* const lost = gained + p.C * width;
        std::fill(base, base + width, 0.0);
        std::fill(gained, gained + piece_size, 0.0);
        for (std::int64_t b = begin; b < end; ++b) {
          of.begin_row(static_cast<const T*>(p.overlaps) + b * p.K, steps.off, p.by.scale, p.K,
                       base);
          std::fill(sums, sums + width, 0.0);
          for (std::int64_t c = 0; c < p.C; ++c) {
            const auto dy = static_cast<double>(static_cast<const T*>(p.devidence)[b * p.C + c]);
            if (dy != 0.0) {
              add_slopes(of, base, steps.step + c * width, factor * dy, sums, gained + c * width,
                         width);
            }
          }
          for (std::int64_t k = 0; k < p.K; ++k) {
            static_cast<T*>(p.doverlaps)[b * p.K + k] = normal_or_zero<T>(sums[k]);
            lost[k] += sums[k];
          }
        }
      });
    });
    for_ranges(context, p.K, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) {
        for (std::int64_t c = 0; c < p.C; ++c) {
          double sum = 0.0;
          for (std::int64_t n = 0; n < count; ++n) {
            const double* const piece = partials + n * piece_size;
            sum += 2.0 * piece[c * width + k] - piece[p.C * width + k];
          }
          static_cast<T*>(p.dlabels)[k * p.C + c] = normal_or_zero<T>(sum);
        }
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(label_evidence_forward_target);
HWY_EXPORT(label_evidence_backward_target);

std::int64_t label_evidence_workspace(const LabelEvidenceForward& p, const CpuContext& context) {
  return (p.C + 1 + context.pool->threads()) * padded(p.K) *
         static_cast<std::int64_t>(sizeof(double));
}

std::int64_t label_evidence_workspace(const LabelEvidenceBackward& p, const CpuContext& context) {
  return (p.C + 1 + 2 * context.pool->threads() + pieces(p.B) * (p.C + 1)) * padded(p.K) *
         static_cast<std::int64_t>(sizeof(double));
}

Status label_evidence_forward(const LabelEvidenceForward& p, const CpuContext& context) {
  const Status status = check_extents(p.by, p.B, p.K, p.C);
  return status.ok() ? HWY_DYNAMIC_DISPATCH(label_evidence_forward_target)(p, context) : status;
}

Status label_evidence_backward(const LabelEvidenceBackward& p, const CpuContext& context) {
  const Status status = check_extents(p.by, p.B, p.K, p.C);
  return status.ok() ? HWY_DYNAMIC_DISPATCH(label_evidence_backward_target)(p, context) : status;
}

}  // namespace basin::kernels
#endif

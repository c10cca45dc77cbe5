#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/dispatch.h"
#include "kernels/optim/row_momentum.h"
#include "kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optim/row_momentum_cpu.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace basin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// 0 in the place of a number below the smallest normal one. By its bits: arithmetic with such
// numbers takes many times as long, and a steep loss makes whole rows of them.
template <class D>
HWY_INLINE hn::Vec<D> normal_or_zero(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  using T = hn::TFromD<D>;
  const auto smallest = hn::BitCast(di, hn::Set(d, std::numeric_limits<T>::min()));
  const auto is_less = hn::Gt(smallest, hn::BitCast(di, hn::Abs(x)));
  return hn::IfThenZeroElse(hn::RebindMask(d, is_less), x);
}

template <class T>
struct Rates {
  T scale, momentum, bound, lr;
};

template <class D, class T>
HWY_INLINE hn::Vec<D> momentum_of(D d, hn::Vec<D> u, hn::Vec<D> gradient, const Rates<T>& by) {
  const auto kept = hn::Mul(hn::Set(d, by.momentum), normal_or_zero(d, u));
  return normal_or_zero(d, hn::MulAdd(hn::Set(d, by.scale), normal_or_zero(d, gradient), kept));
}

template <class D, class T>
HWY_INLINE hn::Vec<D> moved(D d, hn::Vec<D> parameter, hn::Vec<D> u, hn::Vec<D> largest,
                            const Rates<T>& by) {
  // Divided first: u may be so small that lr / largest is infinite.
  const auto x = hn::NegMulAdd(hn::Set(d, by.lr), hn::Div(u, largest), parameter);
  const auto bound = hn::Set(d, by.bound);
  const auto low = hn::IfThenElse(hn::Lt(x, hn::Neg(bound)), hn::Neg(bound), x);  // NaN stays
  return hn::IfThenElse(hn::Gt(low, bound), bound, low);
}

template <class T>
void update_row(T* parameter, const T* gradient, T* u, std::int64_t columns, const Rates<T>& by) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t end = columns - columns % lanes;
  const auto rest = hn::FirstN(d, static_cast<std::size_t>(columns - end));
  auto largest = hn::Set(d, std::numeric_limits<T>::min());
  const auto widen = [&](hn::Vec<decltype(d)> x) {
    const auto size = hn::Abs(x);
    largest = hn::IfThenElse(hn::Gt(size, largest), size, largest);  // NaN is passed over
  };
  for (std::int64_t i = 0; i < end; i += lanes) {
    const auto x = momentum_of(d, hn::LoadU(d, u + i), hn::LoadU(d, gradient + i), by);
    hn::StoreU(x, d, u + i);
    widen(x);
  }
  if (end < columns) {
    const auto x = momentum_of(d, hn::MaskedLoad(rest, d, u + end),
                               hn::MaskedLoad(rest, d, gradient + end), by);
    hn::BlendedStore(x, rest, d, u + end);
    widen(x);
  }
  largest = hn::MaxOfLanes(d, largest);
  for (std::int64_t i = 0; i < end; i += lanes) {
    hn::StoreU(moved(d, hn::LoadU(d, parameter + i), hn::LoadU(d, u + i), largest, by), d,
               parameter + i);
  }
  if (end < columns) {
    const auto x = moved(d, hn::MaskedLoad(rest, d, parameter + end),
                         hn::MaskedLoad(rest, d, u + end), largest, by);
    hn::BlendedStore(x, rest, d, parameter + end);
  }
}

Status row_momentum_target(const RowMomentum& p, const CpuContext& context) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, p.columns));
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    const Rates<T> rates{static_cast<T>(p.gradient_scale), static_cast<T>(p.momentum),
                         static_cast<T>(p.bound), static_cast<T>(p.lr)};
    for_ranges(context, p.rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const std::int64_t at = r * p.columns;
        update_row(static_cast<T*>(p.parameter) + at, static_cast<const T*>(p.gradient) + at,
                   static_cast<T*>(p.u) + at, p.columns, rates);
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace basin::kernels {

HWY_EXPORT(row_momentum_target);

Status row_momentum(const RowMomentum& given, const CpuContext& context) {
  RowMomentum p = given;
  if (!(p.bound > 0.0)) {
    return Status::invalid("the bound must be above 0");
  }
  if (p.gradient_scale_pointer != nullptr) {
    if (!std::isfinite(*p.gradient_scale_pointer)) {
      return {};
    }
    p.gradient_scale *= *p.gradient_scale_pointer;
  }
  return HWY_DYNAMIC_DISPATCH(row_momentum_target)(p, context);
}

}  // namespace basin::kernels
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/dispatch.h"
#include "kernels/optim/row_momentum.h"

namespace basin::kernels {

namespace {

template <class T>
void update_row(T* parameter, const T* gradient, T* u, const RowMomentum& p) {
  const T scale = static_cast<T>(p.gradient_scale);
  const T momentum = static_cast<T>(p.momentum);
  const T bound = static_cast<T>(p.bound);
  T largest = std::numeric_limits<T>::min();
  for (std::int64_t i = 0; i < p.columns; ++i) {
    u[i] = momentum * u[i] + scale * gradient[i];
    largest = std::max(largest, std::abs(u[i]));
  }
  // Divided first: u may be so small that lr / largest is infinite.
  const T lr = static_cast<T>(p.lr);
  for (std::int64_t i = 0; i < p.columns; ++i) {
    parameter[i] = std::clamp(parameter[i] - lr * (u[i] / largest), -bound, bound);
  }
}

}  // namespace

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
  const std::int64_t grain =
      std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, p.columns));
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    for_ranges(context, p.rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const std::int64_t at = r * p.columns;
        update_row(static_cast<T*>(p.parameter) + at, static_cast<const T*>(p.gradient) + at,
                   static_cast<T*>(p.u) + at, p);
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels

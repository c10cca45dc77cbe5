// The numbers of one AdamW step and what they do to one element, for every device. Always inlined:
// a loop for wide registers must not call a copy that is not compiled for them, and what nvcc
// compiles as well must not have two bodies of one name.
#pragma once

#include <cmath>

#include "kernels/common/qualifiers.h"
#include "kernels/optim/adamw.h"

namespace basin::kernels {

template <class T>
struct AdamWRates {
  T scale, beta1, beta2, rest1, rest2, decay, added, rate, root, eps;

  [[gnu::always_inline]] BASIN_HOST_DEVICE explicit AdamWRates(const AdamW& p)
      : scale(static_cast<T>(p.gradient_scale)),
        beta1(static_cast<T>(p.beta1)),
        beta2(static_cast<T>(p.beta2)),
        rest1(static_cast<T>(1.0 - p.beta1)),
        rest2(static_cast<T>(1.0 - p.beta2)),
        decay(1),
        added(static_cast<T>(p.decoupled ? 0.0 : p.weight_decay)),
        rate(0),
        root(0),
        eps(static_cast<T>(p.eps)) {
    set_step(p, p.step, p.lr);
  }

  /// What changes from step to step: the length, and the corrections of the two means, which begin
  /// at 0.
  [[gnu::always_inline]] BASIN_HOST_DEVICE void set_step(const AdamW& p, std::int64_t step,
                                                         double lr) {
    const auto count = static_cast<double>(step);
    decay = static_cast<T>(p.decoupled ? 1.0 - lr * p.weight_decay : 1.0);
    rate = static_cast<T>(lr / (1.0 - std::pow(p.beta1, count)));
    root = static_cast<T>(1.0 / std::sqrt(1.0 - std::pow(p.beta2, count)));
  }

  [[gnu::always_inline]] BASIN_HOST_DEVICE void update(T& parameter, T gradient, T& m, T& v) const {
    const T g = scale * gradient + added * parameter;
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * g * g;
    parameter = decay * parameter - rate * m / (std::sqrt(v) * root + eps);
  }
};

}  // namespace basin::kernels

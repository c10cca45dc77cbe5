// The rule of clip.h, for every device.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/common/qualifiers.h"
#include "kernels/optim/clip.h"

namespace basin::kernels {

[[gnu::always_inline]] BASIN_HOST_DEVICE inline void apply_clip_rule(const ClipScale& p) {
  const double norm = std::sqrt(*p.squares);
  *p.norm = norm;
  bool good = std::isfinite(norm) && (p.halted == nullptr || *p.halted == 0);
  if (p.watched != nullptr) {
    const double watched = p.watched_dtype == DType::f64
                               ? *static_cast<const double*>(p.watched)
                               : static_cast<double>(*static_cast<const float*>(p.watched));
    good = good && std::isfinite(watched);
  }
  if (!good) {
    *p.scale = std::numeric_limits<double>::quiet_NaN();
    if (p.halted != nullptr) {
      *p.halted = 1;
    }
    return;
  }
  const double limited = p.clip_norm / (norm + 1e-6);
  *p.scale = p.clip_norm > 0.0 && limited < 1.0 ? limited : 1.0;
  if (p.steps != nullptr) {
    ++*p.steps;
  }
}

}  // namespace basin::kernels

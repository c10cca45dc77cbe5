#include "nn/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace basin::nn {

namespace {
constexpr ScheduleKind kSchedules[] = {ScheduleKind::constant, ScheduleKind::linear,
                                       ScheduleKind::cosine};
}

const char* name_of(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::constant: return "constant";
    case ScheduleKind::linear: return "linear";
    case ScheduleKind::cosine: return "cosine";
  }
  return "?";
}

bool parse(const std::string& name, ScheduleKind& out) {
  for (const ScheduleKind kind : kSchedules) {
    if (name == name_of(kind)) {
      out = kind;
      return true;
    }
  }
  return false;
}

double Schedule::rate(std::int64_t step) const {
  if (step < warmup_steps) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  }
  if (kind == ScheduleKind::constant) {
    return peak;
  }
  const auto length = static_cast<double>(std::max<std::int64_t>(1, total_steps - warmup_steps));
  const double progress = std::min(1.0, static_cast<double>(step - warmup_steps) / length);
  const double fall = kind == ScheduleKind::linear
                          ? 1.0 - progress
                          : 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return peak * (final_fraction + (1.0 - final_fraction) * fall);
}

}  // namespace basin::nn

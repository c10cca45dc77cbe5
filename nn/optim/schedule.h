// The learning rate as a function of the step.
#pragma once

#include <cstdint>
#include <string>

namespace basin::nn {

enum class ScheduleKind : std::uint8_t { constant, linear, cosine };

const char* name_of(ScheduleKind);
/// False for an unknown name.
bool parse(const std::string& name, ScheduleKind&);

/// Rises linearly over `warmup_steps` (step s of them has rate peak (s + 1) / warmup_steps), then
/// stays at `peak` or falls, along a line or half a cosine, to peak * final_fraction at
/// total_steps.
struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double peak = 1e-3;
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 1;
  double final_fraction = 0.1;

  /// The rate of step `step`, which counts from 0. Beyond total_steps it stays at the last value.
  double rate(std::int64_t step) const;
};

}  // namespace basin::nn

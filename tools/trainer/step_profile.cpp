#include "tools/trainer/step_profile.h"

#include <fmt/format.h>

#include "tools/report/text_file.h"

namespace basin::trainer {

void StepProfile::begin_step() {
  const bool is_timed = wanted_ > 0 && seen_ >= kWarmUp && timed_ < wanted_;
  pause_.reset();
  if (is_timed && !profiler_) {
    profiler_.emplace();
  }
}

bool StepProfile::end_step(std::int64_t step) {
  ++seen_;
  if (!profiler_) {
    return false;
  }
  pause_.emplace();
  ++timed_;
  last_step_ = step;
  return timed_ == wanted_;
}

std::string StepProfile::steps_text() const {
  return fmt::format("{} to {}", last_step_ - timed_ + 1, last_step_);
}

bool StepProfile::write(const RunFolder& folder, std::int64_t total_steps) {
  if (!profiler_ || timed_ == 0) {
    return false;
  }
  report::write_text(
      folder.file(run_files::kProfileTable),
      fmt::format("steps {} of {}\n\n{}", steps_text(), total_steps, profiler_->table()));
  report::write_text(folder.file(run_files::kProfileTrace), profiler_->chrome_trace());
  pause_.reset();
  profiler_.reset();
  wanted_ = 0;
  return true;
}

}  // namespace basin::trainer

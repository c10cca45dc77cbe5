// Where the time of some training steps goes: `trainer train --profile`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "autograd/profiler.h"
#include "tools/trainer/run_folder.h"

namespace basin::trainer {

/// Times so many steps after a warm-up, and then nothing any more: memory does not grow with the
/// run. Only what is between begin_step() and end_step() counts; validations do not.
class StepProfile {
 public:
  /// Steps that warm caches up; they are not timed.
  static constexpr std::int64_t kWarmUp = 2;

  /// `steps`: how many to time; 0: none.
  explicit StepProfile(std::int64_t steps) : wanted_(steps) {}

  void begin_step();
  /// `step`: the number of the step that ended. Whether it was the last one to time.
  bool end_step(std::int64_t step);

  /// Whether the step between begin_step() and end_step() is being timed.
  bool is_timing() const { return profiler_.has_value() && !pause_.has_value(); }

  /// Writes profile.txt and profile.json of the steps timed so far and forgets them. Does nothing
  /// and returns false if there are none. Throws FileError.
  bool write(const RunFolder& folder, std::int64_t total_steps);
  /// Whether steps were to be timed and the run had none beyond its warm-up.
  bool is_missing() const { return wanted_ > 0 && timed_ == 0; }
  /// "3 to 12".
  std::string steps_text() const;

 private:
  std::int64_t wanted_;
  std::int64_t seen_ = 0, timed_ = 0, last_step_ = 0;
  std::optional<Profiler> profiler_;
  std::optional<ProfilerPause> pause_;  // between steps
};

}  // namespace basin::trainer

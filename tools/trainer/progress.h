// What a training run tells while it works.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tasks/training.h"

namespace basin::trainer {

/// Prints on standard output: on a terminal one line that is drawn over and over, otherwise a line
/// per interval, or nothing.
class Progress {
 public:
  /// `log_every`: steps between lines off a terminal.
  Progress(bool quiet, std::int64_t first_step, std::int64_t total_steps, std::int64_t log_every);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step(const tasks::StepReport& report, double tokens_per_second);
  void evaluating(const char* split, std::int64_t done, std::int64_t total);
  void evaluated(const char* split, std::int64_t step, double loss, const tasks::Metric& metric);
  /// A line of its own, above the bar.
  void note(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  bool is_time_to_draw();
  void draw(const std::string& status);
  void erase();
  std::string time_left(std::int64_t step) const;

  bool quiet_, on_terminal_;
  std::int64_t first_step_, total_steps_, log_every_;
  std::int64_t step_;
  std::string figures_;  // of the last step
  std::string metric_;   // of the last evaluation
  bool drawn_ = false;
  Clock::time_point start_, last_drawn_{};
};

/// "1:02:03" or "2:03".
std::string duration_text(double seconds);
/// "1.2k", "34.5M".
std::string amount_text(double value);

}  // namespace basin::trainer

// What is told while data are prepared, and how that is stopped.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tools/trainer/interrupt.h"

namespace basin::trainer {

/// Silent for work that is done in a moment. Later, on a terminal one line that is drawn over and
/// over, otherwise a line now and then, or nothing.
class Preparation {
 public:
  explicit Preparation(bool quiet);
  ~Preparation();
  Preparation(const Preparation&) = delete;
  Preparation& operator=(const Preparation&) = delete;

  /// As PreparationCallback: false once the user has pressed Ctrl-C.
  bool show(const std::string& what, std::int64_t done, std::int64_t total);
  /// What was being done last.
  const std::string& status() const { return status_; }

 private:
  using Clock = std::chrono::steady_clock;

  Interrupt interrupt_;
  bool quiet_, on_terminal_;
  bool drawn_ = false;
  std::string status_;
  Clock::time_point next_;
};

}  // namespace basin::trainer

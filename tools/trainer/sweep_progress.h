// What a sweep tells while its runs work.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace basin::trainer {

/// On a terminal one line that is drawn over and over, otherwise a line per finished run, or
/// nothing.
class SweepProgress {
 public:
  /// `done`: runs that an earlier session finished.
  SweepProgress(bool quiet, std::size_t total, std::size_t done);
  ~SweepProgress();
  SweepProgress(const SweepProgress&) = delete;
  SweepProgress& operator=(const SweepProgress&) = delete;

  void finished(const std::string& line);
  void failed(const std::string& line);
  /// A line of its own.
  void note(const std::string& line);
  /// To be called often.
  void update(std::size_t running);

 private:
  using Clock = std::chrono::steady_clock;
  std::string time_left() const;
  void erase();

  bool quiet_, on_terminal_;
  std::size_t total_, earlier_, finished_ = 0, failed_ = 0;
  bool drawn_ = false;
  Clock::time_point start_, last_drawn_{};
};

}  // namespace basin::trainer

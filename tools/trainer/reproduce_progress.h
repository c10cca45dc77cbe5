// What `trainer reproduce` tells while it computes.
#pragma once

#include <chrono>
#include <string>

#include "tools/reproduction/run.h"
#include "tools/trainer/interrupt.h"

namespace basin::trainer {

/// On a terminal a bar that is drawn over and over, otherwise a line every ten seconds, or nothing.
/// Throws Interrupted from working() once the user has pressed Ctrl-C.
class ReproduceProgress : public reproduction::Watcher {
 public:
  ReproduceProgress(bool quiet, std::string experiment);
  ~ReproduceProgress() override;
  ReproduceProgress(const ReproduceProgress&) = delete;
  ReproduceProgress& operator=(const ReproduceProgress&) = delete;

  void starts(std::size_t parts, std::size_t finished, double cost, double finished_cost) override;
  void working(const experiments::Part& part, double share, const std::string& what) override;
  void finished(const experiments::Part& part, double seconds) override;

  /// Results that were there before, and after.
  std::size_t earlier() const { return earlier_; }
  std::size_t done() const { return done_; }
  std::size_t parts() const { return parts_; }

 private:
  using Clock = std::chrono::steady_clock;
  void show(const experiments::Part& part, double share, const std::string& what);
  std::string time_left(double done_cost) const;
  void erase();

  Interrupt interrupt_;
  bool quiet_, on_terminal_;
  std::string experiment_;
  std::size_t parts_ = 0, earlier_ = 0, done_ = 0;
  double cost_ = 0.0, earlier_cost_ = 0.0, done_cost_ = 0.0;
  bool drawn_ = false;
  Clock::time_point start_, next_;
};

}  // namespace basin::trainer

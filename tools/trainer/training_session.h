// A run from its first step, or from a checkpoint, to its summary.
#pragma once

#include <chrono>
#include <string>

#include "tools/trainer/experiment.h"
#include "tools/trainer/interrupt.h"
#include "tools/trainer/metrics_log.h"
#include "tools/trainer/progress.h"
#include "tools/trainer/run_folder.h"
#include "tools/trainer/summary.h"

namespace basin::trainer {

class TrainingSession {
 public:
  /// Goes on from the folder's checkpoint if `resume`. The folder must hold config.ini then.
  TrainingSession(Experiment& experiment, const RunFolder& folder, bool resume, bool quiet);

  /// Trains, validates, saves, tests. Throws Interrupted after saving a checkpoint, Diverged,
  /// FileError.
  Summary run();

 private:
  using Clock = std::chrono::steady_clock;

  void train_one_step();
  void validate_if_due();
  void save_if_due();
  void save();
  void stop_if_interrupted();
  MetricsRow evaluate(tasks::Split split, std::int64_t examples);
  bool is_due(std::int64_t interval) const;
  double seconds() const;
  Summary summarise() const;

  Experiment& experiment_;
  const Configuration& configuration_;
  const RunFolder& folder_;
  Interrupt interrupt_;
  tasks::TrainingRun training_;
  MetricsLog log_;
  Progress progress_;
  Clock::time_point start_;
  double earlier_seconds_ = 0.0;  // of the sessions before this one
  std::int64_t saved_step_ = -1;
  std::int64_t epoch_ = 0;

  // Tokens and the time spent on them, since the last line of the log and since the start.
  std::int64_t interval_tokens_ = 0, tokens_ = 0;
  double interval_seconds_ = 0.0, training_seconds_ = 0.0;
};

}  // namespace basin::trainer

// A run from its first step, or from a checkpoint, to its summary.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "autograd/anomaly.h"
#include "tools/trainer/checkpoints.h"
#include "tools/trainer/experiment.h"
#include "tools/trainer/interrupt.h"
#include "tools/trainer/metrics_log.h"
#include "tools/trainer/progress.h"
#include "tools/trainer/run_folder.h"
#include "tools/trainer/step_profile.h"
#include "tools/trainer/summary.h"

namespace basin::trainer {

struct SessionOptions {
  bool resume = false;             ///< go on from the folder's checkpoint; needs its config.ini
  bool quiet = false;              ///< print nothing
  std::int64_t profile_steps = 0;  ///< how many to time, after a warm-up; 0: none
  bool anomaly = false;            ///< look for the operation that makes the first NaN; slow
};

class TrainingSession {
 public:
  TrainingSession(Experiment& experiment, const RunFolder& folder, const SessionOptions& options);

  /// Trains, validates, saves, tests the last weights and the best. Throws Interrupted after saving
  /// a checkpoint, Diverged naming the last good checkpoint, FileError.
  Summary run();

 private:
  using Clock = std::chrono::steady_clock;

  Summary run_to_the_end();
  void train_one_step();
  /// Waits for the report of the last step, if it is still due.
  void settle();
  void take(const tasks::StepReport& report);
  bool must_settle() const;
  void validate_if_due();
  void save_if_due();
  void save_best_if_due();
  void save();
  void write_profile();
  void stop_if_interrupted();
  /// Looks at the model as it is; evaluate() logs what comes out.
  tasks::Evaluation measure(tasks::Split split, std::int64_t examples);
  void evaluate(tasks::Split split, std::int64_t examples);
  std::optional<BestTest> test_best();
  std::string last_good_checkpoint() const;
  bool is_due(std::int64_t interval) const;
  bool is_due_at(std::int64_t step, std::int64_t interval) const;
  double seconds() const;
  Summary summarise() const;

  Experiment& experiment_;
  const Configuration& configuration_;
  const RunFolder& folder_;
  Interrupt interrupt_;
  tasks::TrainingRun training_;
  Checkpoints checkpoints_;
  MetricsLog log_;
  Progress progress_;
  StepProfile profile_;
  std::optional<AnomalyMode> anomaly_;
  Clock::time_point start_;
  double earlier_seconds_ = 0.0;  // of the sessions before this one
  std::int64_t epoch_ = 0;

  // Tokens and the time spent on them, since the last line of the log and since the start.
  std::int64_t interval_tokens_ = 0, tokens_ = 0;
  double interval_seconds_ = 0.0, training_seconds_ = 0.0;
};

}  // namespace basin::trainer

// The checkpoints of a run: the newest, some before it, and the best.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tasks/training.h"
#include "tools/trainer/run_folder.h"

namespace basin::trainer {

/// Whatever moment the program is killed at, checkpoint.h5 is the newest whole checkpoint (or there
/// has been none). Files are never written to under their final names; one that has two names is
/// written once and linked, or copied where the file system has no links.
class Checkpoints {
 public:
  /// Keeps the newest `keep` of them: checkpoint.h5 and those before it as checkpoint_<step>.h5.
  Checkpoints(const RunFolder& folder, std::int64_t keep);

  /// Before a run goes on from checkpoint.h5 of this step: removes what is not before it, and
  /// remembers which step best.h5 is of. Throws FileError.
  void resume(std::int64_t step);

  /// Throws FileError, Diverged if a weight is not finite; checkpoint.h5 is then what it was.
  void save(const tasks::TrainingRun& run, const std::string& configuration,
            const std::vector<tasks::Metric>& metrics);
  /// The same for best.h5. `metrics` are those of the validation of this step.
  void save_best(const tasks::TrainingRun& run, const std::string& configuration,
                 const std::vector<tasks::Metric>& metrics);

  /// The step of checkpoint.h5 or best.h5, if there is one.
  std::optional<std::int64_t> step() const { return step_; }
  std::optional<std::int64_t> best_step() const { return best_step_; }

 private:
  void remove_old() const;

  const RunFolder& folder_;
  std::int64_t keep_;
  std::optional<std::int64_t> step_, best_step_;
  std::vector<tasks::Metric> metrics_;  // in the checkpoint.h5 that was saved here
};

}  // namespace basin::trainer

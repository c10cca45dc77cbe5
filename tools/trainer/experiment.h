// A configuration come to life: its task and its model.
#pragma once

#include <memory>

#include "nn/language_model.h"
#include "tasks/task.h"
#include "tasks/training.h"
#include "tools/trainer/configuration.h"

namespace basin::trainer {

struct Experiment {
  /// With paths that are valid from every folder, the digest of the data and the task's vocabulary.
  Configuration configuration;
  std::unique_ptr<tasks::Task> task;
  std::unique_ptr<nn::LanguageModel> model;
};

/// Sets the number of threads, too. Reports on long preparations of data unless `quiet`. Throws
/// UsageError for settings that contradict each other, FileError for data that cannot be read or
/// are not those of the configuration's digest, OutOfMemory, Interrupted.
Experiment make_experiment(const Configuration& configuration, bool quiet = false);

/// Throws UsageError for settings that do not go with the task.
tasks::TrainingRun make_training_run(Experiment& experiment);

}  // namespace basin::trainer

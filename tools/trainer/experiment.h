// A configuration come to life: its task and its model.
#pragma once

#include <memory>

#include "nn/language_model.h"
#include "tasks/task.h"
#include "tasks/training.h"
#include "tools/trainer/configuration.h"

namespace basin::trainer {

struct Experiment {
  Configuration configuration;  ///< with a path in `data` that is valid from every folder
  std::unique_ptr<tasks::Task> task;
  std::unique_ptr<nn::LanguageModel> model;
};

/// Sets the number of threads, too. Throws UsageError for settings that contradict each other,
/// FileError for data that cannot be read, OutOfMemory.
Experiment make_experiment(const Configuration& configuration);

/// Throws UsageError for settings that do not go with the task.
tasks::TrainingRun make_training_run(Experiment& experiment);

/// A data file where a user means it: as it stands, or below the folder $BASIN_DATA. What to keep
/// in a configuration, and what to open.
struct DataPath {
  std::string kept;
  std::string opened;
};
/// Throws FileError if it is in neither place.
DataPath find_data(const std::string& path);

}  // namespace basin::trainer

// The settings that name data: where they lie, and whether they are still the same.
#pragma once

#include <string>

#include "tasks/task.h"
#include "tools/trainer/configuration.h"

namespace basin::trainer {

/// A file or folder where a user means it: as it stands, or below the folder $BASIN_DATA. What to
/// keep in a configuration, and what to open.
struct DataPath {
  std::string kept;
  std::string opened;
};
/// Throws FileError if it is in neither place.
DataPath find_data(const std::string& path);

/// Makes the setting of this name, if it is a path, valid from every folder. Throws FileError.
void keep_path(Configuration& configuration, const std::string& name);

/// What the task is told about its data. Throws FileError for what is not there.
tasks::TaskOptions task_options(const Configuration& configuration);

/// Writes the digest of what the task has read into the configuration. Throws FileError that names
/// what has changed if the configuration has another one; parts it does not have are not compared.
void keep_digest(Configuration& configuration, const tasks::Task& task);

/// Of a digest the part about the vocabulary, without the texts.
std::string vocabulary_digest(const std::string& digest);
/// Of a digest the part about the vocabulary and the text of --data, without other texts.
std::string training_digest(const std::string& digest);
/// Of a digest what does not depend on the tokenizer.
std::string text_digest(const std::string& digest);

}  // namespace basin::trainer

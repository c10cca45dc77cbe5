// A run rebuilt from its checkpoint.
#pragma once

#include <string>

#include "tools/trainer/configuration.h"
#include "tools/trainer/experiment.h"

namespace basin::trainer {

/// The settings a checkpoint holds as text. Throws FileError naming `path` if this program cannot
/// use them.
Configuration stored_configuration(const std::string& path, const std::string& text);

/// Task and model of a configuration; the weights are still to be loaded. Throws FileError.
Experiment rebuild(const std::string& path, const Configuration& configuration);

}  // namespace basin::trainer

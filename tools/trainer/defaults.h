// The settings that somebody who names only a task and a backbone trains with.
#pragma once

#include "tools/trainer/configuration.h"

namespace basin::trainer {

/// Both must exist. Intervals and warm-up depend on the number of steps, too.
Configuration default_configuration(const std::string& task, const std::string& backbone);

/// Called once the steps are known; a setting that was given is overwritten later.
void set_step_defaults(Configuration& configuration);

/// Why a model of this task must not see what comes after a position, or an empty string.
std::string causal_only(const std::string& task);

}  // namespace basin::trainer

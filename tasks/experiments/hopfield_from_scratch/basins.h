// Basins of attraction of a modern network in the plane: which pattern each start state ends in.
#pragma once

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment basins_experiment();

}  // namespace basin::experiments

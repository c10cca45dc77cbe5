// Retrieval that gets worse with every step: at a small beta the fixed points are mixtures.
#pragma once

#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment more_steps_hurt_experiment();

/// "One step retrieves about 94 %, iterating to the fixed point about 15 %", by the shares (in
/// percent) of each seed. Reproduced if both means lie within 5 points of these numbers and the
/// paired loss is positive with its 95 % interval; contradicted if the loss is not positive or one
/// mean's interval is more than 10 points away; else undecided.
Verdict judge_collapse(const std::vector<double>& one_step, const std::vector<double>& fixed_point);

}  // namespace basin::experiments

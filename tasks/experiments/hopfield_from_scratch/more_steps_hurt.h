// Retrieval that gets worse with every step: at a small beta the fixed points are mixtures.
#pragma once

#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment more_steps_hurt_experiment();

/// "Iterating to the fixed point destroys what one step retrieves", by the shares (in percent) of
/// each seed. Reproduced if the interval of the fixed point lies below half of that of one step;
/// contradicted if the paired loss is not positive with its 95 % interval; else undecided.
Verdict judge_collapse(const std::vector<double>& one_step, const std::vector<double>& fixed_point);

/// A share that was published as "about" a number of percent. Reproduced if the mean lies within 2
/// points of it, contradicted if the whole 95 % interval is farther away, else undecided.
Verdict judge_about(const std::string& claim, double published, const std::vector<double>& shares);

}  // namespace basin::experiments

// Seven random patterns in a network of a hundred units, each asked for with a quarter of its units
// flipped.
#pragma once

#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment classical_retrieval_experiment();

/// The published run, "7 of 7 patterns recovered", by the number recovered in each of our runs.
/// Reproduced if at least 5 % of our runs recover as few or as many (two-sided), else contradicted.
Verdict judge_seven(const std::vector<double>& recovered);

/// Claim B(a), "error-free recall at P/N = 0.07": reproduced if the 95 % interval of the share of
/// runs without any error lies above one half, contradicted if it lies below, else undecided.
Verdict judge_error_free(const std::vector<double>& recovered);

}  // namespace basin::experiments

// Twenty normal patterns of width 64, asked for with noise: one update of the modern network.
#pragma once

#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment modern_retrieval_experiment();

/// The published run, "cosine 1.0000 for 10 of 10 queries", by the number of queries that read
/// 1.0000 in each of our runs. Reproduced if at least 5 % of our runs have as few or as many.
Verdict judge_ten(const std::vector<double>& exact);

/// Claim B(d), "exact under 30 % noise", by the share of queries that read 1.0000: reproduced if
/// its 95 % interval lies above 0.99, contradicted if it lies below 0.95, else undecided.
Verdict judge_exact(double mean, double low, double high);

}  // namespace basin::experiments

// The three regimes of retrieval: how the sharpness of a separation moves a memory between a single
// pattern, a few and the average of all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"
#include "tasks/statistics.h"

namespace basin::experiments {

/// Random patterns, noisy queries, a sweep of beta for every separation and number of patterns.
Experiment regimes();

/// One separation with one number of patterns, over rising sharpness (beta; the degree of
/// polynomial separation). The estimates are over seeds.
struct SharpnessSweep {
  std::string separation;
  std::int64_t patterns = 0;
  std::vector<double> sharpness;
  std::vector<statistics::Estimate> fixed_points, metastable,
      averages;                                        ///< shares of the queries, in [0, 1]
  std::vector<statistics::Estimate> relative_entropy;  ///< entropy / ln(patterns)
  std::vector<statistics::Estimate> temperature;       ///< the effective one, median
  std::vector<statistics::Estimate> relative_fewest;   ///< k_0.9 / patterns
  std::vector<statistics::Estimate>
      error;  ///< |T(x) - pattern|^2 / |pattern|^2 of the pattern meant
  std::vector<statistics::Estimate> success;  ///< share of queries whose error is at most 0.2
};

/// Claim C(a), "softmax sharpness moves a head between prototype selection and averaging", by the
/// sweeps of softmax alone. Reproduced: for every number of patterns the lower ends of the 95 %
/// intervals of global averages at the smallest beta and of fixed points at the largest are at
/// least 0.9, and the mean entropy nowhere rises by more than 0.01 from one beta to the next.
/// Contradicted: for some number an upper end is below 0.5. Else undecided.
Verdict judge_sharpness(const std::vector<SharpnessSweep>& sweeps);

/// What each separation reaches, in sentences that follow from the numbers.
std::vector<std::string> regime_findings(const std::vector<SharpnessSweep>& sweeps);

}  // namespace basin::experiments

// Configurations of a sweep with what their seeds say together, the best one first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/report/statistics.h"
#include "tools/trainer/sweep_results.h"

namespace basin::trainer {

struct RankedConfiguration {
  const PlannedConfiguration* planned = nullptr;
  std::size_t runs = 0;                                    ///< planned
  std::vector<double> test_values;                         ///< of the finished ones
  std::optional<report::Estimate> validation, test, loss;  ///< over the finished ones; loss: test
  double seconds = 0.0;                                    ///< of all finished ones together
  bool below_chance = false;                               ///< is_far_below_chance
};

/// One list per main metric, in the order of the plan. In a list the mean on the validation split
/// decides, of the weights that were tested; the test split takes no part in the choice. What has
/// no finished run comes last.
std::vector<std::vector<RankedConfiguration>> rank(const SweepPlan& plan,
                                                   const std::vector<RunResult>& results);

}  // namespace basin::trainer

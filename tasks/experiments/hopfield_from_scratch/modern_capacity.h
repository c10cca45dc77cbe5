// How many normal patterns a modern network retrieves, and how that number grows with their width.
#pragma once

#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment modern_capacity_experiment();

/// The capacities of several widths: ln P_max of each seed.
struct WidthCapacity {
  double width = 0;
  std::vector<double> log_capacity;
};

/// Claim B(e), "capacity grows exponentially with the width": lines of ln P_max on d (exponential)
/// and on ln d (a power) through the means of the widths. Reproduced if the slope on d is positive
/// with its 95 % interval and the exponential leaves less unexplained than the power; contradicted
/// if the slope's interval lies below 0 or the power leaves less than half of what the exponential
/// does; else undecided. Undecided for fewer than four widths.
Verdict judge_exponential(const std::vector<WidthCapacity>& capacities, const std::string& level);

/// "100 % at 5 to 500 patterns" from the retrieved and all queries at each number of patterns:
/// reproduced if for each the upper limit of the 95 % interval reads 100 % (99.5 or more) and the
/// share itself is at least 0.99, contradicted if for one the upper limit is below 0.99.
Verdict judge_hundred_percent(const std::vector<std::int64_t>& patterns,
                              const std::vector<std::int64_t>& retrieved,
                              const std::vector<std::int64_t>& queries);

}  // namespace basin::experiments

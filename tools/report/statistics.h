// Estimates as words in tables.
#pragma once

#include <string>

#include "tasks/statistics.h"

namespace basin::report {

using statistics::Estimate;
using statistics::estimate;
using statistics::is_far_below_chance;

/// "0.9513 ± 0.0042", without the second half where there is one value only.
std::string mean_and_sd_text(const Estimate& estimate);
/// "[0.9409, 0.9617]", or "-" where there is one value only.
std::string interval_text(const Estimate& estimate);

}  // namespace basin::report

// The report of separations-in-context, from the results of its runs.
#pragma once

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Report context_report(const Settings& settings, const Results& results);

}  // namespace basin::experiments

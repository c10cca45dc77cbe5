// The plot of one run: curve.gp, and curve.svg where gnuplot is installed.
#pragma once

#include <string>

#include "tasks/task.h"
#include "tools/trainer/configuration.h"
#include "tools/trainer/run_folder.h"

namespace basin::trainer {

/// Writes the script, which reads metrics.csv and so may be run at any time.
void write_curve_script(const RunFolder& folder, const Configuration& configuration,
                        const tasks::Task& task);

}  // namespace basin::trainer

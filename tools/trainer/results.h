// How the figures of an evaluation are shown.
#pragma once

#include <string>
#include <vector>

#include "tasks/task.h"

namespace basin::trainer {

/// The metrics and the loss, and beside the main metric what trivial predictors reach in it.
std::string results_table(const std::string& split, const std::vector<tasks::Metric>& metrics,
                          double loss, const std::vector<tasks::Metric>& baselines);

/// Whether a metric is a share between 0 and 1 by its name, and is drawn in percent.
bool is_share(const std::string& metric_name);

}  // namespace basin::trainer

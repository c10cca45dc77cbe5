// The runs of a sweep, known and checked before the first one starts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tasks/task.h"
#include "tools/trainer/sweep_file.h"

namespace basin::trainer {

struct PlannedRun {
  std::string name;               ///< of its folder: "backbone=rnn,learning-rate=0.001,seed=0"
  std::size_t configuration = 0;  ///< index in SweepPlan::configurations
  std::uint64_t seed = 0;
  GivenValues given;  ///< what to tell `trainer train`, the seed with it and without the threads
  std::map<std::string, std::string> settings;  ///< all that have an effect, but for the threads
};

/// Runs that differ in the seed only.
struct PlannedConfiguration {
  std::vector<std::string> values;  ///< in the order of SweepPlan::varied
  std::string label;                ///< "backbone=rnn,learning-rate=0.001"; empty if nothing varies
  std::string metric;               ///< the main metric of its task
  bool higher_is_better = true;
  std::vector<tasks::Metric> baselines;  ///< in the main metric, chance first
  std::int64_t parameters = 0;
  std::int64_t threads = 0;  ///< 0: as many as there are cores
};

struct SweepPlan {
  SweepFile sweep;
  std::vector<std::string> varied;  ///< settings, and "trial" where values are drawn
  std::vector<PlannedConfiguration> configurations;
  std::vector<PlannedRun> runs;  ///< the first axis of the file changes slowest, the seed fastest
};

/// Every point of the grid with every trial and every seed. Trials are the same for all points of
/// the grid, and no two are equal. Throws UsageError with file, line and combination for settings
/// that do not go together, which includes one without effect; FileError, OutOfMemory.
SweepPlan make_plan(const SweepFile& sweep);

/// Throws UsageError that names the first run or setting in which `asked` is not `stored`, the plan
/// in the file `path`. Threads may differ.
void check_same_plan(const SweepPlan& asked, const SweepPlan& stored, const std::string& path);

}  // namespace basin::trainer

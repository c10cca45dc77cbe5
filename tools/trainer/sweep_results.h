// What came out of the runs of a sweep, as tables, files and a plot.
#pragma once

#include <string>
#include <vector>

#include "tools/trainer/summary.h"
#include "tools/trainer/sweep_plan.h"

namespace basin::trainer {

enum class RunStatus : std::uint8_t { waiting, running, finished, failed, interrupted };
const char* name_of(RunStatus status);

struct RunResult {
  RunStatus status = RunStatus::waiting;
  std::string reason;       ///< of a failure
  Summary summary;          ///< once finished
  double validation = 0.0;  ///< main metric of the weights that were tested
};

namespace sweep_files {
inline constexpr const char* kPlan = "sweep.ini";
inline constexpr const char* kRuns = "sweep.csv";
inline constexpr const char* kSummary = "sweep_summary.csv";
inline constexpr const char* kReport = "sweep.md";
inline constexpr const char* kPlotScript = "sweep.gp";
inline constexpr const char* kPlot = "sweep.svg";
inline constexpr const char* kLog = "train.log";  ///< in the folder of each run
}  // namespace sweep_files

/// Reads what a finished run left in its folder. Throws FileError if it is not the planned run.
RunResult read_finished(const std::string& folder, const PlannedRun& planned);

/// The tables over configurations, best validation first, one for each main metric; what stands
/// out; and the runs that failed.
std::string report_text(const SweepPlan& plan, const std::vector<RunResult>& results);

/// Writes sweep.csv, sweep_summary.csv and sweep.md. Throws FileError.
void write_tables(const std::string& folder, const SweepPlan& plan,
                  const std::vector<RunResult>& results);

/// Writes sweep.gp and, where gnuplot is installed, sweep.svg. Returns why there is no picture, or
/// an empty string.
std::string write_plot(const std::string& folder, const SweepPlan& plan,
                       const std::vector<RunResult>& results);

}  // namespace basin::trainer

// A sweep from its plan to its tables, each run a process of its own.
#pragma once

#include <cstdint>
#include <string>

#include "tools/trainer/sweep_file.h"

namespace basin::trainer {

struct SweepRequest {
  SweepFile sweep;
  std::string out;
  std::int64_t jobs = 0;  ///< runs at once; 0: as many as fit beside each other with their threads
  bool resume = false;    ///< go on with what `out` holds, which must be the same sweep
  bool overwrite = false;
  bool quiet = false;
};

/// Finds everything that is wrong before it touches the folder. Throws UsageError; FileError;
/// Interrupted after the runs have saved, with how to go on; std::runtime_error at the end if runs
/// failed.
void run_sweep(const SweepRequest& request);

/// The sweep that the folder holds. Throws FileError if there is none.
SweepFile stored_sweep(const std::string& folder);

}  // namespace basin::trainer

// The energy of every memory along its recall: which updates never raise it, and which may.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::experiments {

Experiment energy_traces_experiment();

/// What was seen of one kind of update.
struct EnergyCount {
  std::string memory;
  bool promised = true;  ///< whether theory promises that it never rises
  std::int64_t updates = 0;
  std::int64_t rises = 0;  ///< beyond rounding
};

/// "The energy never rises where theory promises it": reproduced if no promised update of at least
/// 1000 for each memory raised it, contradicted if one did, else undecided.
Verdict judge_promise(const std::vector<EnergyCount>& counts);

/// "Synchronous updates of a classical network may raise it": reproduced if one did, else
/// undecided.
Verdict judge_synchronous(const std::vector<EnergyCount>& counts);

}  // namespace basin::experiments

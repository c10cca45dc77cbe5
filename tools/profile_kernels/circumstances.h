// Under which circumstances something was measured: the beginning of every document.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tools/profile_kernels/results.h"

namespace basin::profile_kernels {

/// Without rows: date, machine, build, device, instruction set and threads as they are now.
Results results_of_now(Device device = Device::cpu);

/// `format`, `version` and the circumstances.
nlohmann::ordered_json head_json(const char* format, int version, const Results& results);

nlohmann::ordered_json spread_json(const Spread& spread);

}  // namespace basin::profile_kernels

// Two results side by side.
#pragma once

#include <string>

#include "tools/profile_kernels/results.h"

namespace basin::profile_kernels {

/// A table of the rows that both have, with new / old and whether that is more than noise; then
/// what differs between the two measurements besides the kernels.
std::string comparison_text(const Results& old_results, const Results& new_results);

}  // namespace basin::profile_kernels

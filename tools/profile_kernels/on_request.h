// Measuring a round whenever another program asks for it, so that it can let ours and another
// library take turns within the same second.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "tools/command_line/options.h"

namespace basin::profile_kernels {

/// --on-request.
command_line::Option on_request_option();

/// Prints `ready` as one line; then answers every line "round" on standard input by one line, what
/// `round` returned. Ends with the input. Throws Error for another line and if an answer cannot be
/// written.
void answer_requests(const nlohmann::ordered_json& ready,
                     const std::function<nlohmann::ordered_json()>& round);

}  // namespace basin::profile_kernels

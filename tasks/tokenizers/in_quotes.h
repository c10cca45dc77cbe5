// Parts of damaged files in messages.
#pragma once

#include <string>
#include <string_view>

namespace basin::tasks {

/// `bytes` between apostrophes, on one line and not too long: what is not printable ASCII or
/// well-formed UTF-8 is written as \xHH, and much more than fits a line is left out.
std::string in_quotes(std::string_view bytes);

}  // namespace basin::tasks

// Comma-separated values as in RFC 4180.
#pragma once

#include <string>
#include <vector>

namespace basin::report {

/// One record with its line end; fields with commas, quotes or line ends are quoted.
std::string csv_line(const std::vector<std::string>& fields);

/// The records of a file's text, the header line first. A last line without a line end, as a killed
/// program leaves it, is left out.
std::vector<std::vector<std::string>> parse_csv(const std::string& text);

}  // namespace basin::report

// Configuration files: lines `name = value`.
#pragma once

#include <string>
#include <vector>

namespace basin::trainer {

struct IniEntry {
  std::string name;
  std::string value;
  int line = 0;
};

/// Empty lines and lines that begin with # or ; say nothing. Blanks around names and values are not
/// part of them; a value in double quotes keeps its blanks, and \" \\ \n \r \t in it stand for the
/// character. `origin` names the text in messages. Throws UsageError.
std::vector<IniEntry> parse_ini(const std::string& text, const std::string& origin);

/// A line, with its end, that parse_ini reads as exactly this value.
std::string ini_line(const std::string& name, const std::string& value);

}  // namespace basin::trainer

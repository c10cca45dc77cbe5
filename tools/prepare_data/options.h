// The command line of one command.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace basin::prepare_data {

struct Option {
  std::string name;
  std::string value;  ///< what the help calls it; empty for a switch
  std::string help;
  bool many = false;  ///< takes one value or more
};

struct Syntax {
  std::string command;
  std::string summary;          ///< what it does, for the help
  std::vector<Option> options;  ///< --help is added
};

class Options {
 public:
  /// Throws UsageError for unknown, repeated and incomplete options, and for words that belong to
  /// none.
  Options(const Syntax& syntax, const std::vector<std::string>& words);

  bool has(const std::string& name) const { return values_.count(name) != 0; }
  /// Throws UsageError if it was not given or is empty.
  const std::string& value(const std::string& name) const { return values(name).front(); }
  const std::vector<std::string>& values(const std::string& name) const;
  std::string value_or(const std::string& name, const std::string& otherwise) const;
  /// Throws UsageError unless the value is a whole number in [least, most].
  std::int64_t number_or(const std::string& name, std::int64_t otherwise, std::int64_t least,
                         std::int64_t most) const;

 private:
  std::string command_;
  std::map<std::string, std::vector<std::string>> values_;
};

/// What --help prints.
std::string help_text(const Syntax& syntax);

}  // namespace basin::prepare_data

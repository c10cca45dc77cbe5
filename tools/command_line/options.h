// The command line of one command of a program.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace basin::command_line {

struct Option {
  std::string name;
  std::string value;  ///< what the help calls it; empty for a switch
  std::string help;
  bool many = false;  ///< takes one value or more
};

struct Syntax {
  std::string command;          ///< as one types it, with the program's name
  std::string summary;          ///< what it does, for the help
  std::vector<Option> options;  ///< --help is added
  std::string operands{};       ///< what the help calls words without an option; empty: none
  std::string examples{};       ///< for the end of the help
};

class Options {
 public:
  /// Throws UsageError for unknown, repeated and incomplete options, and for words that belong to
  /// none where there are no operands.
  Options(const Syntax& syntax, const std::vector<std::string>& words);

  const std::vector<std::string>& operands() const { return operands_; }
  bool has(const std::string& name) const { return values_.count(name) != 0; }
  /// Throws UsageError if it was not given or is empty.
  const std::string& value(const std::string& name) const { return values(name).front(); }
  const std::vector<std::string>& values(const std::string& name) const;
  std::string value_or(const std::string& name, const std::string& otherwise) const;
  /// Throws UsageError unless the value is a whole number in [least, most].
  std::int64_t number_or(const std::string& name, std::int64_t otherwise, std::int64_t least,
                         std::int64_t most) const;
  /// The same for a finite number.
  double real_or(const std::string& name, double otherwise, double least, double most) const;

 private:
  std::string command_;
  std::vector<std::string> operands_;
  std::map<std::string, std::vector<std::string>> values_;
};

/// What --help prints.
std::string help_text(const Syntax& syntax);

}  // namespace basin::command_line

// The command line of one subcommand.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/trainer/configuration.h"

namespace basin::trainer {

/// An option that is no setting.
struct Option {
  std::string name;
  std::string value;  ///< what the help calls it; empty for a switch
  std::string help;
};

struct Syntax {
  std::string command;
  std::string summary;   ///< what it does, for the help
  std::string operands;  ///< what the help calls arguments without a name; empty if there are none
  std::vector<Option> options;  ///< --help is added
  bool takes_settings = false;  ///< all of settings.h, and --config
  bool reads_config = true;     ///< false: the command reads a --config of its own
};

class Arguments {
 public:
  /// Throws UsageError for unknown, repeated and incomplete options. The configuration file of
  /// --config is read; options on the command line go before it.
  Arguments(const Syntax& syntax, const std::vector<std::string>& words);

  bool has(const std::string& name) const { return values_.count(name) != 0; }
  /// Throws UsageError if it was not given.
  const std::string& value(const std::string& name) const;
  std::string value_or(const std::string& name, const std::string& otherwise) const;
  const std::vector<std::string>& operands() const { return operands_; }
  /// The settings given, by option or in the configuration file.
  const GivenValues& settings() const { return settings_; }

 private:
  std::string command_;
  std::map<std::string, std::string> values_;
  std::vector<std::string> operands_;
  GivenValues settings_;
};

/// What --help prints.
std::string help_text(const Syntax& syntax);

}  // namespace basin::trainer

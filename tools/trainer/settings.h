// The table of settings: what the command line, configuration files and checkpoints call them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/trainer/configuration.h"

namespace basin::trainer {

/// To add a setting, add a member to Configuration and a line to the table in settings.cpp.
struct Setting {
  std::string name;
  std::string section;  ///< heading in the help and in files
  std::string value;    ///< what the help calls the value
  std::string help;

  /// Reads a value; `origin` begins the message of the UsageError for one that cannot be.
  std::function<void(Configuration&, const std::string& text, const std::string& origin)> read;
  /// The text that read() turns into the value of this configuration.
  std::function<std::string(const Configuration&)> write;
  /// Why the setting would change nothing with this task and backbone, or an empty string.
  std::function<std::string(const Configuration&)> no_effect;
};

const std::vector<Setting>& settings();
/// Null if there is none of this name.
const Setting* find_setting(const std::string& name);
std::vector<std::string> setting_names();

/// Throws UsageError that names the nearest task or backbone if there is none of this name.
void check_task(const std::string& name, const std::string& origin);
void check_backbone(const std::string& name, const std::string& origin);

}  // namespace basin::trainer

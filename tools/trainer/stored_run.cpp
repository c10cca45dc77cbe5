#include "tools/trainer/stored_run.h"

#include "tensor/error.h"
#include "tools/trainer/terminal.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

Configuration stored_configuration(const std::string& path, const std::string& text) {
  try {
    return make_configuration(given_by_ini(text, "settings"));
  } catch (const UsageError& error) {
    throw FileError(fmt::format("{} cannot be used by this program: {}", path, error.what()));
  }
}

Experiment rebuild(const std::string& path, const Configuration& configuration) {
  try {
    return make_experiment(configuration, !draws_lines_over());
  } catch (const UsageError& error) {
    throw FileError(fmt::format("{} cannot be used by this program: {}", path, error.what()));
  }
}

}  // namespace basin::trainer

// The experiments of one `trainer reproduce`, one after the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"

namespace basin::trainer {

/// What the command line says; the rest comes from the journal, or from the defaults.
struct GivenSettings {
  std::optional<experiments::Size> size;
  std::optional<experiments::Protocol> protocol;
  std::optional<std::int64_t> seed;
  std::optional<Device> device;
  std::string data;  ///< a folder, by option or from the environment; empty: none
};

struct ReproductionRequest {
  std::vector<const experiments::Experiment*> experiments;
  std::string out;
  GivenSettings given;
  std::string go_on;  ///< the command line that goes on after an interruption
  bool overwrite = false;
  bool quiet = false;
};

/// Prints results. Throws UsageError for settings that contradict a journal or that an experiment
/// does not have, Interrupted with the command to go on, and std::runtime_error at the end if
/// one of several could not be done.
void run_reproductions(const ReproductionRequest& request);

}  // namespace basin::trainer

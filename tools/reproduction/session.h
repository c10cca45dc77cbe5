// Where and when results were computed, and with which settings: what stands beside them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "tasks/experiments/experiment.h"

namespace basin::reproduction {

struct Session {
  std::string version, commit;  ///< of the program; commit: empty outside git
  std::string date;
  std::string processor, isa;  ///< isa: of the kernels
  int cores = 0, threads = 0;
  std::string device;  ///< in words
};

/// As of now.
Session this_session(Device device);
/// "0.1.0, commit 1234abcd".
std::string program_text(const Session& session);

nlohmann::json to_json(const Session& session);
/// Throws Error for JSON that to_json() did not make.
Session to_session(const nlohmann::json& json);

/// The first line of a journal, and back. Throws Error for another experiment or words that do not
/// exist.
nlohmann::json header_of(const experiments::Experiment& experiment,
                         const experiments::Settings& settings);
experiments::Settings settings_in(const nlohmann::json& header);

}  // namespace basin::reproduction

// What stands beside the results of an experiment: how, where, when and how long.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/reproduction/journal.h"
#include "tools/reproduction/session.h"

namespace basin::reproduction {

struct Record {
  std::string name, source, question;
  experiments::Settings settings;
  std::string protocol_text;  ///< the protocol, and what the published code does differently
  std::vector<Session> sessions;
  std::vector<std::size_t> parts_of_session;
  std::map<std::string, double> seconds;  ///< by part
  std::vector<std::string> warnings;      ///< results of several versions of the program
  std::string command;                    ///< that repeats the run

  double total_seconds() const;
};

/// `command` is taken as it is.
Record record_of(const experiments::Experiment& experiment, const Journal& journal,
                 const std::string& command);

}  // namespace basin::reproduction

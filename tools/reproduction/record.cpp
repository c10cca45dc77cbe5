#include "tools/reproduction/record.h"

#include <fmt/format.h>

#include "tools/origin/build.h"

namespace basin::reproduction {

namespace {

std::vector<std::string> warnings_of(const std::vector<Session>& sessions) {
  std::vector<std::string> versions;
  for (const Session& session : sessions) {
    const std::string text = program_text(session);
    if (versions.empty() || versions.back() != text) {
      versions.push_back(text);
    }
  }
  std::vector<std::string> warnings;
  if (versions.size() > 1) {
    std::string text = "The results come from several versions of the program: ";
    for (std::size_t n = 0; n < versions.size(); ++n) {
      text += (n == 0 ? "" : "; then ") + versions[n];
    }
    warnings.push_back(text + ". To compute all with one version, run it again with --overwrite.");
  }
  Session now;
  now.version = origin::kVersion;
  now.commit = origin::kCommit;
  if (!versions.empty() && versions.back() != program_text(now)) {
    warnings.push_back(
        fmt::format("The results were computed by version {}; version {} wrote this report.",
                    versions.back(), program_text(now)));
  }
  return warnings;
}

}  // namespace

double Record::total_seconds() const {
  double total = 0.0;
  for (const auto& [key, value] : seconds) {
    total += value;
  }
  return total;
}

Record record_of(const experiments::Experiment& experiment, const Journal& journal,
                 const std::string& command) {
  Record record;
  record.name = experiment.name;
  record.source = experiment.source;
  record.question = experiment.question;
  record.settings = settings_in(journal.header());
  record.protocol_text = name_of(record.settings.protocol);
  if (!experiment.as_coded.empty()) {
    record.protocol_text += "; as coded: " + experiment.as_coded;
  }
  for (const Sitting& sitting : journal.sittings()) {
    if (!sitting.keys.empty()) {
      record.sessions.push_back(to_session(sitting.session));
      record.parts_of_session.push_back(sitting.keys.size());
    }
  }
  record.seconds = journal.seconds();
  record.warnings = warnings_of(record.sessions);
  record.command = command;
  return record;
}

}  // namespace basin::reproduction

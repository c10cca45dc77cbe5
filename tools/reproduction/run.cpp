#include "tools/reproduction/run.h"

#include <chrono>
#include <set>

#include "tensor/error.h"
#include "tools/reproduction/session.h"

namespace basin::reproduction {

namespace {

using experiments::Part;

void check_keys(const experiments::Experiment& experiment, const std::vector<Part>& parts) {
  std::set<std::string> keys;
  for (const Part& part : parts) {
    if (!keys.insert(part.key).second) {
      fail("[{}] two parts have the key '{}'", experiment.name, part.key);
    }
  }
}

nlohmann::json result_of(const Part& part, Watcher& watcher) {
  watcher.working(part, 0.0, "");
  experiments::Progress progress;
  progress.tell = [&](double share, const std::string& what) {
    watcher.working(part, share, what);
  };
  try {
    return part.compute(progress);
  } catch (const FileError& error) {
    throw FileError(fmt::format("part {}: {}", part.key, error.what()));
  } catch (const Error& error) {
    throw Error(fmt::format("part {}: {}", part.key, error.what()));
  }
}

}  // namespace

void compute(const experiments::Experiment& experiment, const experiments::Settings& settings,
             Journal& journal, Watcher& watcher) {
  if (journal.is_finished()) {
    return;
  }
  const std::vector<Part> parts = experiment.parts(settings);
  check_keys(experiment, parts);
  double cost = 0.0;
  double finished_cost = 0.0;
  std::size_t finished = 0;
  for (const Part& part : parts) {
    const bool has = journal.results().count(part.key) != 0;
    cost += part.cost;
    finished_cost += has ? part.cost : 0.0;
    finished += has ? 1 : 0;
  }
  journal.begin(header_of(experiment, settings), to_json(this_session(settings.device)));
  watcher.starts(parts.size(), finished, cost, finished_cost);
  for (const Part& part : parts) {
    if (journal.results().count(part.key) != 0) {
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    const nlohmann::json result = result_of(part, watcher);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    journal.add(part.key, seconds, result);
    watcher.finished(part, seconds);
  }
  journal.finish();
}

}  // namespace basin::reproduction

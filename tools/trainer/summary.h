// summary.json: what came out of a finished run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace basin::trainer {

/// What the weights of best.h5 reach on the test split.
struct BestTest {
  double loss = 0.0;
  std::vector<tasks::Metric> metrics;
};

struct Summary {
  std::string version;  ///< of the program
  std::string task, backbone;
  std::int64_t parameters = 0;
  std::int64_t steps = 0;
  double epochs = 0.0;
  std::uint64_t seed = 0;
  std::int64_t threads = 0;
  double loss = 0.0;  ///< test, mean cross-entropy in nats
  std::int64_t test_examples = 0;
  std::vector<tasks::Metric> metrics;    ///< test, the main metric first
  std::vector<tasks::Metric> baselines;  ///< in the main metric, chance first
  bool higher_is_better = true;
  std::int64_t best_step = 0;         ///< of the best validation
  double best_value = 0.0;            ///< its main metric
  std::optional<BestTest> best_test;  ///< absent if there was no best.h5 of that step
  double seconds = 0.0;
  double tokens_per_second = 0.0;  ///< while training
  std::uint64_t peak_memory_bytes = 0;
  std::string steps_run;  ///< see TrainingRun::how_steps_run; empty in files of older versions
  std::map<std::string, std::string> configuration;
};

/// Throws FileError.
void write_summary(const std::string& path, const Summary& summary);
/// Throws FileError naming the file and what is wrong with it.
Summary read_summary(const std::string& path);

}  // namespace basin::trainer

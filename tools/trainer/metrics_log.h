// metrics.csv and metrics.jsonl: what was measured, step by step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tasks/task.h"
#include "tools/report/text_file.h"

namespace basin::trainer {

/// A line: of a training step (loss of its batch before the update), or of an evaluation.
struct MetricsRow {
  std::int64_t step = 0;  ///< steps done
  std::int64_t epoch = 0;
  std::string split;                   ///< "train", "validation" or "test"
  double loss = 0.0;                   ///< mean cross-entropy in nats
  std::vector<tasks::Metric> metrics;  ///< of evaluations, the main metric first
  std::optional<double> learning_rate, gradient_norm, tokens_per_second;  ///< of training steps
  double seconds = 0.0;  ///< since the start of the run, pauses not counted
};

/// Throws FileError if the file cannot be read or is no such file.
std::vector<MetricsRow> read_metrics(const std::string& path);

class MetricsLog {
 public:
  /// Both files begin anew with the rows already there. The first row ever must be an evaluation:
  /// it names the columns.
  MetricsLog(std::string csv_path, std::string json_path, std::vector<MetricsRow> rows);

  /// Throws FileError.
  void add(const MetricsRow& row);

  const std::vector<MetricsRow>& rows() const { return rows_; }
  /// The last evaluation of the split, or null.
  const MetricsRow* last(tasks::Split split) const;
  /// The validation with the best main metric, the earliest of equals, or null.
  const MetricsRow* best(bool higher_is_better) const;

 private:
  void open();

  std::string csv_path_, json_path_;
  std::vector<MetricsRow> rows_;
  std::unique_ptr<report::GrowingFile> csv_, json_;
};

}  // namespace basin::trainer

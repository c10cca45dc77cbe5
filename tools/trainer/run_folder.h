// The folder of one run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace basin::trainer {

/// A checkpoint_<step>.h5.
struct KeptCheckpoint {
  std::int64_t step;
  std::string path;
};

/// Holds the folder for this process. The names of everything a run writes are here.
class RunFolder {
 public:
  /// Creates the folder where needed, tries whether files can be created in it, and locks it.
  /// Throws FileError if any of this fails or another process holds the lock.
  explicit RunFolder(const std::string& path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const;

  /// Whether a run, finished or not, has left something.
  bool has_run() const;
  bool has(const std::string& name) const;
  /// The checkpoints under the names of their steps, in no order.
  std::vector<KeptCheckpoint> kept_checkpoints() const;
  std::string kept_checkpoint(std::int64_t step) const;
  /// Removes what a run leaves; other files stay.
  void clear() const;

 private:
  std::string path_;
  int lock_ = -1;
};

namespace run_files {
inline constexpr const char* kConfiguration = "config.ini";
inline constexpr const char* kCheckpoint = "checkpoint.h5";
inline constexpr const char* kBest = "best.h5";
/// What a checkpoint is linked to before it gets the name without it.
inline constexpr const char* kLinkSuffix = ".link";
inline constexpr const char* kMetricsCsv = "metrics.csv";
inline constexpr const char* kMetricsJson = "metrics.jsonl";
inline constexpr const char* kSummary = "summary.json";
inline constexpr const char* kCurveScript = "curve.gp";
inline constexpr const char* kCurve = "curve.svg";
inline constexpr const char* kGraph = "graph.dot";
inline constexpr const char* kProfileTrace = "profile.json";
inline constexpr const char* kProfileTable = "profile.txt";
}  // namespace run_files

}  // namespace basin::trainer

// The results of an experiment's parts on disk: a line for each, written as soon as it is there.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"
#include "tools/report/text_file.h"

namespace basin::reproduction {

/// One start of the program that added results: where and when, as JSON (see session.h).
struct Sitting {
  nlohmann::json session;
  std::vector<std::string> keys;  ///< of the parts it finished
};

/// Lines of JSON behind the CRC-32 of the rest of the line. The first line says which experiment
/// with which settings; then come sittings, results of parts, and at the end how many there are.
class Journal {
 public:
  /// Reads what is there; nothing is written. A last line that is torn is left out, as if its part
  /// had not been computed. Throws FileError for a file that is damaged elsewhere or is no journal.
  explicit Journal(const std::string& path);
  /// An empty one, whatever the file holds; it stays until begin().
  static Journal anew(const std::string& path);

  bool empty() const { return header_.is_null(); }
  /// What the first line says.
  const nlohmann::json& header() const { return header_; }
  const experiments::Results& results() const { return results_; }
  const std::map<std::string, double>& seconds() const { return seconds_; }
  const std::vector<Sitting>& sittings() const { return sittings_; }
  /// Whether finish() was called: there are results of all parts.
  bool is_finished() const { return finished_; }
  /// Whether a torn line was left out.
  bool was_torn() const { return torn_; }

  /// Writes the file anew with what was read, or with this header if there was nothing, and with a
  /// new sitting; and keeps it open for add() and finish(). Throws FileError.
  void begin(const nlohmann::json& header, const nlohmann::json& session);
  /// In the file when it returns. Throws FileError.
  void add(const std::string& key, double seconds, const nlohmann::json& result);
  void finish();

 private:
  Journal() = default;
  void append(const nlohmann::json& json);
  // False if it is not such a line.
  bool take(const nlohmann::json& json);

  std::string path_;
  std::vector<std::string> lines_;
  nlohmann::json header_;
  std::vector<Sitting> sittings_;
  experiments::Results results_;
  std::map<std::string, double> seconds_;
  bool finished_ = false;
  bool torn_ = false;
  std::unique_ptr<report::GrowingFile> file_;
};

}  // namespace basin::reproduction

// An experiment: independent pieces of work, each of which leaves a small result, and a report made
// from the results alone. So an interrupted experiment goes on, and a finished one is drawn again
// without computing anything.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tasks/experiments/report.h"
#include "tensor/device.h"

namespace basin::experiments {

/// smoke: seconds on two cores; small: at most 20 minutes on two cores (called "short" by users);
/// gpu: at most 10 minutes on a card; full: the documented protocol.
enum class Size : unsigned char { smoke, small, gpu, full };

/// As the published code does it, or with its mistakes mended. The report names the differences.
enum class Protocol : unsigned char { corrected, as_coded };

struct Settings {
  Size size = Size::smoke;
  Protocol protocol = Protocol::corrected;
  std::int64_t seed = 0;  ///< the first one; everything random follows from it
  std::string data;       ///< the folder of real data; empty if there is none
  Device device = Device::cpu;
};

/// What a piece of work may tell while it runs, and ask. Never part of its result.
struct Progress {
  /// Called now and then with the share that is done, in [0, 1], and a few words. Throws to stop
  /// the work (Ctrl-C); the piece is then computed anew next time.
  std::function<void(double share, const std::string& what)> tell;
};

/// One piece of work. Its result is a function of the settings and the key, nothing else.
struct Part {
  std::string key;    ///< unique in its experiment and the same in every run: "patterns=10/seed=3"
  double cost = 1.0;  ///< in any unit; for the progress bar
  std::function<nlohmann::json(const Progress&)> compute;
};

/// The results by key. Numbers that may not be finite go through to_json() and to_number().
using Results = std::map<std::string, nlohmann::json>;

struct Experiment {
  std::string name;  ///< "classical-capacity"
  std::string
      source;  ///< which published work it reproduces: "Hopfield networks from scratch (blog)"
  std::string question;  ///< one sentence
  std::string data;      ///< what it reads: "mnist", or empty
  /// In the order in which they are worked on. Throws FileError where data are missing or broken:
  /// which file was looked for where, where it can be had, what is wrong with it.
  std::vector<Part> (*parts)(const Settings& settings);
  /// From the results of all parts; computes nothing that takes long, and reads no data.
  Report (*report)(const Settings& settings, const Results& results);
  /// What the published code does differently, in a sentence, where Protocol::as_coded does that;
  /// empty where there is one protocol only, and asking for the other is an error.
  std::string as_coded;
  bool uses_device = false;  ///< whether the work is done on Settings::device; else it is the CPU
};

/// All of them, in the order of `trainer list experiments`.
const std::vector<Experiment>& experiments();

/// Null if there is none of this name.
const Experiment* find_experiment(const std::string& name);

/// "smoke", "short", "gpu", "full"; "corrected", "as-coded".
const char* name_of(Size size);
const char* name_of(Protocol protocol);

/// A number as a result, where JSON has no words for those that are not finite, and back. to_number
/// throws Error for what is no number.
nlohmann::json to_json(double value);
double to_number(const nlohmann::json& value);

}  // namespace basin::experiments

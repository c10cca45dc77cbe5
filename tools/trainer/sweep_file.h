// What a sweep is asked to do: the text of a sweep file, taken apart.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/trainer/configuration.h"
#include "tools/trainer/sweep_draw.h"

namespace basin::trainer {

/// Values to try of one setting, in canonical text ("0.001" for "1e-3").
struct GridAxis {
  std::string setting;
  std::vector<std::string> values;
  std::string origin;  ///< "sweep.ini:7: learning-rate"
};

/// Drawn anew for every trial.
struct RandomAxis {
  std::string setting;
  Distribution distribution;
  std::string origin;
};

struct SweepFile {
  std::string origin;  ///< the name of the file; empty if there is none
  GivenValues fixed;
  std::vector<GridAxis> grid;      ///< in the order of the file
  std::vector<RandomAxis> random;  ///< likewise
  std::int64_t trials = 0;         ///< 0 if nothing is drawn
  std::uint64_t sweep_seed = 0;
  std::vector<std::uint64_t> seeds;  ///< empty: the one of `fixed` or the default
};

/// Lines `setting = value`, and `seeds = ...`, then the sections [grid] and [random]. Throws
/// UsageError with file and line for everything that cannot be, single values included.
SweepFile parse_sweep(const std::string& text, const std::string& origin);

/// "3" (0, 1, 2) or "4, 7, 9". Throws UsageError.
std::vector<std::uint64_t> read_seeds(const std::string& text, const std::string& origin);

/// What the command line says goes before the file; a setting that the file varies cannot be fixed
/// there. Throws UsageError.
void override_fixed(SweepFile& sweep, const GivenValues& given);

/// What --seeds says goes before the file's seeds, and before a seed in a configuration file.
/// Throws UsageError, also if --seed is given beside it.
void set_seeds(SweepFile& sweep, const std::string& text);

/// The text that parse_sweep turns into the same sweep.
std::string to_text(const SweepFile& sweep);

}  // namespace basin::trainer

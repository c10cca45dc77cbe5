// What 'time' found, as a document that can be kept and compared.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/origin/machine.h"
#include "tools/profile_kernels/ceilings.h"
#include "tools/profile_kernels/statistics.h"

namespace basin::profile_kernels {

/// One kernel in one variant on one problem. Rates are useful work per second: what must be
/// computed and moved at least once.
struct Row {
  std::string kernel;
  int variant = 0;
  std::string variant_name, sizes, dtype;
  bool cold = false;  ///< its arrays were not in a cache
  Spread seconds;     ///< per call
  std::int64_t calls = 0;
  double flops = 0, exps = 0, bytes = 0;  ///< per call
  std::string ceiling;                    ///< the one that limits: "fma", "tensor", "exp" or "copy"
  double share = 0;                       ///< of the speed that this ceiling allows
  std::int64_t array_bytes = 0, workspace_bytes = 0, copies = 1;
  std::int64_t peak_resident_bytes = 0;  ///< of the process, up to here
  Spread self;                           ///< the first variant of the problem against itself
  double error = 0, tolerance = 0;
  std::string checked_on;  ///< "same", or the sizes of the smaller problem
};

struct Results {
  std::string date;
  origin::Machine machine;
  std::string version, commit, compiler, flags;  ///< of the build
  std::string device = "cpu";
  std::string card;  ///< what the device is, other than the CPU
  std::string isa;   ///< that the kernels use: BASIN_ISA may keep them below the machine's
  int threads = 0;
  std::map<std::string, std::string> settings;  ///< options by name
  std::map<std::string, Ceilings> ceilings;     ///< by dtype
  std::vector<Row> rows;

  /// The widest spread of a kernel against itself.
  Spread noise() const;
};

std::string to_json(const Results& results);
std::string to_csv(const Results& results);
std::string to_markdown(const Results& results);
/// For a terminal: what was measured on what, and a table.
std::string to_text(const Results& results);

/// Reads what to_json wrote. Throws FileError naming the path for anything else.
Results read_results(const std::string& path);

}  // namespace basin::profile_kernels

// One experiment from its first part to its results.
#pragma once

#include <cstddef>
#include <string>

#include "tasks/experiments/experiment.h"
#include "tools/reproduction/journal.h"

namespace basin::reproduction {

/// What a run tells while it works. A call of working() may throw, which stops the run; what is
/// finished is in the journal.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void starts(std::size_t parts, std::size_t finished, double cost,
                      double finished_cost) = 0;
  /// Before each part, and whenever the part tells something.
  virtual void working(const experiments::Part& part, double share, const std::string& what) = 0;
  virtual void finished(const experiments::Part& part, double seconds) = 0;
};

/// Computes the parts whose results the journal lacks, in their order, and writes each at once; and
/// nothing if it is finished. Throws what the experiment throws, with the key of the part in front;
/// Error if two parts share a key.
void compute(const experiments::Experiment& experiment, const experiments::Settings& settings,
             Journal& journal, Watcher& watcher);

}  // namespace basin::reproduction

// How many runs of a sweep work at once, and with how many threads each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tools/trainer/sweep_plan.h"

namespace basin::trainer {

class CoreSharing {
 public:
  /// `jobs`: runs at once, 0 for as many as fit beside each other with the threads of a run; never
  /// more than `runs`, those still to be done. Throws UsageError if that leaves too few cores for a
  /// sweep that varies the threads.
  CoreSharing(const SweepPlan& plan, std::int64_t jobs, std::size_t runs, std::int64_t cores);

  std::size_t jobs() const { return static_cast<std::size_t>(jobs_); }

  /// Of one run: what its configuration says, or its share of the cores if that is less. More jobs
  /// than cores get one thread each. Results do not depend on it.
  std::int64_t threads(const PlannedConfiguration& configuration) const;

 private:
  std::int64_t wanted(const PlannedConfiguration& configuration) const {
    return configuration.threads > 0 ? configuration.threads : cores_;
  }

  std::int64_t cores_, jobs_ = 1;
  bool varies_threads_ = false;
};

}  // namespace basin::trainer

#include "tools/trainer/core_sharing.h"

#include <algorithm>

#include "tools/trainer/usage_error.h"

namespace basin::trainer {

CoreSharing::CoreSharing(const SweepPlan& plan, std::int64_t jobs, std::size_t runs,
                         std::int64_t cores)
    : cores_(cores) {
  std::int64_t most_threads = 1;
  for (const PlannedConfiguration& configuration : plan.configurations) {
    most_threads = std::max(most_threads, wanted(configuration));
  }
  varies_threads_ = std::count(plan.varied.begin(), plan.varied.end(), "threads") > 0;
  if (varies_threads_ && jobs > 1 && jobs * most_threads > cores) {
    wrong_usage(
        "--jobs {} of up to {} threads need more than the {} cores there are, and the "
        "threads are what this sweep varies",
        jobs, most_threads, cores);
  }
  jobs_ = jobs > 0 ? jobs : std::max<std::int64_t>(1, cores / most_threads);
  jobs_ = std::clamp<std::int64_t>(static_cast<std::int64_t>(runs), 1, jobs_);
}

std::int64_t CoreSharing::threads(const PlannedConfiguration& configuration) const {
  const std::int64_t share = std::max<std::int64_t>(1, cores_ / jobs_);
  return varies_threads_ ? wanted(configuration) : std::min(wanted(configuration), share);
}

}  // namespace basin::trainer

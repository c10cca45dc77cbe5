#include "tools/trainer/checkpoints.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "nn/checkpoint.h"
#include "tensor/error.h"

namespace basin::trainer {

namespace {

namespace fs = std::filesystem;

void remove_file(const std::string& path) {
  std::error_code code;
  fs::remove(path, code);
  if (code) {
    throw FileError(fmt::format("{} cannot be removed: {}", path, code.message()));
  }
}

// Gives a finished file a second name, in place of what has it now. The name on the way must not be
// that of a ".partial" file: those are written to, and this one may be linked to a checkpoint.
void give_name(const std::string& file, const std::string& name) {
  const std::string link = name + run_files::kLinkSuffix;
  remove_file(link);
  std::error_code code;
  fs::create_hard_link(file, link, code);
  if (code) {
    fs::copy_file(file, link, code);
  }
  if (!code) {
    fs::rename(link, name, code);
  }
  std::error_code ignored;
  // rename() does nothing where both names are the same file already.
  fs::remove(link, ignored);
  if (code) {
    throw FileError(fmt::format("{} cannot be kept as {}: {}", file, name, code.message()));
  }
}

}  // namespace

Checkpoints::Checkpoints(const RunFolder& folder, std::int64_t keep)
    : folder_(folder), keep_(keep) {}

void Checkpoints::resume(std::int64_t step) {
  step_ = step;
  for (const KeptCheckpoint& kept : folder_.kept_checkpoints()) {
    // Later ones are there if somebody went back to an earlier checkpoint.
    if (kept.step >= step) {
      remove_file(kept.path);
    }
  }
  remove_old();
  for (const std::string& name : {folder_.kept_checkpoint(step), folder_.file(run_files::kBest)}) {
    remove_file(name + run_files::kLinkSuffix);
  }
  if (!folder_.has(run_files::kBest)) {
    return;
  }
  try {
    const std::int64_t best = nn::read_training_state(folder_.file(run_files::kBest)).step;
    if (best <= step) {
      best_step_ = best;
    }
  } catch (const FileError& error) {
    throw FileError(fmt::format("{}; without it the run can go on: remove it", error.what()));
  }
}

void Checkpoints::save(const tasks::TrainingRun& run, const std::string& configuration,
                       const std::vector<tasks::Metric>& metrics) {
  const std::string newest = folder_.file(run_files::kCheckpoint);
  if (keep_ > 1 && step_ && *step_ != run.steps_done()) {
    // A second name first: replacing checkpoint.h5 then leaves this one.
    give_name(newest, folder_.kept_checkpoint(*step_));
  }
  run.save(newest, configuration, metrics);
  step_ = run.steps_done();
  metrics_ = metrics;
  remove_old();
}

void Checkpoints::save_best(const tasks::TrainingRun& run, const std::string& configuration,
                            const std::vector<tasks::Metric>& metrics) {
  const std::string best = folder_.file(run_files::kBest);
  const auto same = [](const tasks::Metric& a, const tasks::Metric& b) {
    return a.name == b.name && a.value == b.value;
  };
  if (step_ == run.steps_done() &&
      std::equal(metrics_.begin(), metrics_.end(), metrics.begin(), metrics.end(), same)) {
    give_name(folder_.file(run_files::kCheckpoint), best);
  } else {
    run.save(best, configuration, metrics);
  }
  best_step_ = run.steps_done();
}

void Checkpoints::remove_old() const {
  std::vector<KeptCheckpoint> all = folder_.kept_checkpoints();
  std::sort(all.begin(), all.end(),
            [](const KeptCheckpoint& a, const KeptCheckpoint& b) { return a.step > b.step; });
  for (std::size_t n = static_cast<std::size_t>(keep_ - 1); n < all.size(); ++n) {
    remove_file(all[n].path);
  }
}

}  // namespace basin::trainer

// A training run: one model on one task, a step at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/checkpoint.h"
#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "nn/optim/schedule.h"
#include "tasks/data_loader.h"
#include "tasks/device_step.h"
#include "tasks/task.h"

namespace basin::tasks {

struct TrainingOptions {
  std::int64_t batch = 32;
  std::int64_t micro_batch = 0;  ///< examples per forward pass; 0: the whole batch at once
  std::uint64_t seed = 0;        ///< of weights, data order and dropout
  nn::Schedule schedule;
  nn::OptimizerOptions optimizer;
  StepGraph graph = StepGraph::automatic;  ///< on other devices than the CPU
};

struct StepReport {
  std::int64_t step = 0;  ///< steps done, this one included
  std::int64_t epoch = 0;
  double loss = 0.0;           ///< mean cross-entropy of the batch before the update, in nats
  double gradient_norm = 0.0;  ///< before clipping
  double learning_rate = 0.0;
  std::int64_t tokens = 0;  ///< positions the model read in this step
};

struct Evaluation {
  double loss = 0.0;            ///< mean cross-entropy over all counted targets, in nats
  std::vector<Metric> metrics;  ///< the task's main metric first
  std::int64_t examples = 0;
};

/// The loss or the gradient is no longer finite. The model still has the weights from before the
/// step.
class Diverged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Called now and then during long work with what is done and what there is; false stops it.
using ProgressCallback = std::function<bool(std::int64_t done, std::int64_t total)>;

/// Judges a model on the first `limit` examples of a split (0: all), without dropout and without
/// recording gradients; the model is back in its mode afterwards. If `progress` stops it, the
/// result covers the examples seen so far. Throws Error for batch < 1.
Evaluation evaluate(nn::LanguageModel& model, const Task& task, Split split, std::int64_t batch,
                    std::int64_t limit = 0, const ProgressCallback& progress = {});

class TrainingRun {
 public:
  /// Keeps references to task and model. Throws Error unless micro_batch divides batch, and with
  /// StepGraph::on where steps can never be a graph: on the CPU, with micro batches.
  TrainingRun(const Task& task, nn::LanguageModel& model, const TrainingOptions& options);

  /// One optimizer step; waits for it, and for one that was queued before, whose report is dropped.
  /// Throws Diverged naming the step.
  StepReport step();

  /// The same without waiting for the device: queues a step and returns what is known by then, on
  /// the CPU the report of this step, elsewhere that of the one before, if it has not been returned
  /// yet. Throws Diverged if that one did; the step queued behind it has changed no weight and does
  /// not count.
  std::optional<StepReport> advance();
  /// Waits for the report that is still due, if there is one. Throws Diverged. To be called before
  /// weights are judged or saved.
  std::optional<StepReport> finish();

  /// "one graph of 57 kernels", or why steps are not, as far as the last step can tell.
  std::string how_steps_run() const;

  std::int64_t steps_done() const { return steps_done_; }
  std::int64_t batches_per_epoch() const { return loader_.batches_per_epoch(); }

  /// See nn/checkpoint.h; save() throws Error if a report is still due (finish()), and Diverged,
  /// and writes nothing, if a weight is not finite: one can go on from every checkpoint. After
  /// load() the run goes on as if it had never stopped, bit for bit.
  void save(const std::string& path, const std::string& configuration,
            const std::vector<Metric>& metrics) const;
  nn::TrainingState load(const std::string& path);

 private:
  std::vector<Batch> parts(std::int64_t step);
  StepReport begin_report(const std::vector<Batch>& parts) const;
  StepReport step_on_cpu();
  void queue_step();
  StepReport take_report(int back);
  [[noreturn]] void diverged(const char* what, double value, std::int64_t step) const;

  // A step that was queued and whose figures have not been looked at.
  struct Due {
    StepReport report;
    std::uint64_t draws = 0;  // position of the model's draws after it
  };

  const Task& task_;
  nn::LanguageModel& model_;
  TrainingOptions options_;
  DataLoader loader_;
  std::unique_ptr<nn::Optimizer> optimizer_;
  std::int64_t steps_done_ = 0;
  std::unique_ptr<DeviceStep> on_device_;  // null on the CPU
  std::optional<Due> due_;
};

}  // namespace basin::tasks

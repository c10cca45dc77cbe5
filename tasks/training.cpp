#include "tasks/training.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/operations.h"
#include "tensor/error.h"
#include "tensor/functions/cross_entropy.h"

namespace basin::tasks {

namespace {

// Evaluation mode for a scope.
class Evaluating {
 public:
  explicit Evaluating(nn::LanguageModel& model) : model_(model), was_training_(model.training()) {
    model.train(false);
  }
  ~Evaluating() { model_.train(was_training_); }
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;

 private:
  nn::LanguageModel& model_;
  bool was_training_;
};

}  // namespace

Evaluation evaluate(nn::LanguageModel& model, const Task& task, Split split, std::int64_t batch,
                    std::int64_t limit, const ProgressCallback& progress) {
  const Evaluating evaluating(model);
  const NoGrad no_grad;
  const std::int64_t available = task.examples(split);
  const std::int64_t wanted = limit > 0 ? std::min(limit, available) : available;
  const std::unique_ptr<MetricAccumulator> metrics = task.metrics();
  double loss_sum = 0;
  std::int64_t counted = 0;
  Evaluation result;
  while (result.examples < wanted) {
    std::vector<std::int64_t> numbers(
        static_cast<std::size_t>(std::min(batch, wanted - result.examples)));
    std::iota(numbers.begin(), numbers.end(), result.examples);
    const Batch examples = task.batch(split, numbers);
    const Variable logits = model.forward(examples.tokens, examples.lengths);
    const CrossEntropyResult loss = cross_entropy(logits.value(), examples.targets, kIgnored, 0.0);
    const double batch_sum = loss.loss.item() * static_cast<double>(loss.count);
    loss_sum += batch_sum;
    counted += loss.count;
    metrics->add(logits.value(), examples, batch_sum);
    result.examples += static_cast<std::int64_t>(numbers.size());
    if (progress && !progress(result.examples, wanted)) {
      break;
    }
  }
  result.loss = loss_sum / static_cast<double>(counted);
  result.metrics = metrics->result();
  return result;
}

TrainingRun::TrainingRun(const Task& task, nn::LanguageModel& model, const TrainingOptions& options)
    : task_(task),
      model_(model),
      options_(options),
      loader_(task.examples(Split::train), options.batch, options.seed),
      optimizer_(model.parameters(), options.optimizer) {}

StepReport TrainingRun::step() {
  const Batch batch = task_.batch(Split::train, loader_.numbers(steps_done_));
  StepReport report;
  report.epoch = loader_.epoch_of(steps_done_);
  report.learning_rate = options_.schedule.rate(steps_done_);
  report.tokens = batch.tokens.numel();
  model_.clear_grad();
  const Variable loss = model_.loss(batch.tokens, batch.targets, batch.lengths);
  report.loss = loss.value().item();
  if (!std::isfinite(report.loss)) {
    throw Diverged(fmt::format("the loss became {} at step {}; try a smaller learning rate than {}",
                               report.loss, steps_done_ + 1, options_.schedule.peak));
  }
  loss.backward();
  report.gradient_norm = optimizer_.step(report.learning_rate);
  if (!std::isfinite(report.gradient_norm)) {
    throw Diverged(fmt::format(
        "the gradient norm became {} at step {}; try a smaller learning rate than {}",
        report.gradient_norm, steps_done_ + 1, options_.schedule.peak));
  }
  report.step = ++steps_done_;
  return report;
}

void TrainingRun::save(const std::string& path, const std::string& configuration,
                       const std::vector<Metric>& metrics) const {
  nn::TrainingState state;
  state.configuration = configuration;
  state.step = steps_done_;
  for (const Metric& metric : metrics) {
    state.metrics[metric.name] = metric.value;
  }
  nn::save_checkpoint(path, model_, optimizer_, state);
}

nn::TrainingState TrainingRun::load(const std::string& path) {
  const nn::TrainingState state = nn::load_checkpoint(path, model_, &optimizer_);
  steps_done_ = state.step;
  return state;
}

}  // namespace basin::tasks

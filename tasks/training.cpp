#include "tasks/training.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/operations.h"
#include "autograd/profiler.h"
#include "tensor/error.h"

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

std::int64_t counted_targets(const Batch& batch) {
  const std::int64_t* target = batch.targets.data<std::int64_t>();
  return batch.targets.numel() - std::count(target, target + batch.targets.numel(), kIgnored);
}

template <class T>
bool all_finite(const Tensor& tensor) {
  const T* data = tensor.data<T>();
  return std::all_of(data, data + tensor.numel(), [](T value) { return std::isfinite(value); });
}

}  // namespace

Evaluation evaluate(nn::LanguageModel& model, const Task& task, Split split, std::int64_t batch,
                    std::int64_t limit, const ProgressCallback& progress) {
  if (batch < 1) {
    fail("the batch of an evaluation must be at least 1; got {}", batch);
  }
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
    const Predictions predicted =
        model.predict(examples.tokens, examples.targets, examples.lengths);
    double batch_sum = 0;
    for (const double loss : predicted.loss.to(DType::f64).to_vector<double>()) {
      batch_sum += loss;
    }
    loss_sum += batch_sum;
    counted += counted_targets(examples);
    metrics->add(predicted.token.to(Device::cpu), examples, batch_sum);
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
      optimizer_(nn::make_optimizer(model.parameters(), options.optimizer)) {
  if (options.micro_batch < 0 ||
      (options.micro_batch > 0 && options.batch % options.micro_batch != 0)) {
    fail("the micro batch {} must divide the batch {}", options.micro_batch, options.batch);
  }
}

StepReport TrainingRun::step() {
  const std::vector<std::int64_t> numbers = loader_.numbers(steps_done_);
  const std::size_t piece =
      options_.micro_batch > 0 ? static_cast<std::size_t>(options_.micro_batch) : numbers.size();
  std::vector<Batch> batches;
  std::int64_t counted = 0;
  for (std::size_t at = 0; at < numbers.size(); at += piece) {
    const ProfiledScope scope("batch", ProfilePhase::other);
    batches.push_back(task_.batch(Split::train, std::span(numbers).subspan(at, piece)));
    counted += counted_targets(batches.back());
  }
  StepReport report;
  report.epoch = loader_.epoch_of(steps_done_);
  report.learning_rate = options_.schedule.rate(steps_done_);
  model_.clear_grad();
  for (const Batch& batch : batches) {
    // Each part weighs as much as it has targets, so that the sum is the mean over the whole batch.
    const double share = static_cast<double>(counted_targets(batch)) / static_cast<double>(counted);
    const Variable loss = model_.loss(batch.tokens, batch.targets, batch.lengths);
    report.loss += loss.value().item() * share;
    report.tokens += batch.tokens.numel();
    if (!std::isfinite(report.loss)) {
      throw Diverged(
          fmt::format("the loss became {} at step {}; try a smaller learning rate than {}",
                      report.loss, steps_done_ + 1, options_.schedule.peak));
    }
    loss.backward(Tensor::full({}, share, loss.dtype(), loss.device()));
  }
  {
    const ProfiledScope scope("optimizer", ProfilePhase::other);
    report.gradient_norm = optimizer_->step(report.learning_rate);
  }
  if (!std::isfinite(report.gradient_norm)) {
    throw Diverged(
        fmt::format("the gradient norm became {} at step {}; try a smaller learning rate than {}",
                    report.gradient_norm, steps_done_ + 1, options_.schedule.peak));
  }
  report.step = ++steps_done_;
  return report;
}

void TrainingRun::save(const std::string& path, const std::string& configuration,
                       const std::vector<Metric>& metrics) const {
  for (const nn::Parameter& parameter : model_.parameters()) {
    const Tensor weight = parameter.variable.value().to(Device::cpu);
    if (!(weight.dtype() == DType::f64 ? all_finite<double>(weight) : all_finite<float>(weight))) {
      throw Diverged(
          fmt::format("the weight '{}' is no longer finite at step {}; try a smaller learning rate "
                      "than {}",
                      parameter.name, steps_done_, options_.schedule.peak));
    }
  }
  nn::TrainingState state;
  state.configuration = configuration;
  state.step = steps_done_;
  for (const Metric& metric : metrics) {
    state.metrics[metric.name] = metric.value;
  }
  nn::save_checkpoint(path, model_, *optimizer_, state);
}

nn::TrainingState TrainingRun::load(const std::string& path) {
  const nn::TrainingState state = nn::load_checkpoint(path, model_, optimizer_.get());
  steps_done_ = state.step;
  return state;
}

}  // namespace basin::tasks

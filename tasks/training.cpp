#include "tasks/training.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

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
  const bool on_cpu = model.parameters().front().variable.device() == Device::cpu;
  const bool in_parts = options.micro_batch > 0 && options.micro_batch < options.batch;
  if (options.graph == StepGraph::on && (on_cpu || in_parts)) {
    fail("a step cannot be one graph {}",
         on_cpu ? "on the CPU; that is for the devices cuda and simt"
                : "with micro batches, which weigh differently from step to step");
  }
  if (!on_cpu) {
    on_device_ = std::make_unique<DeviceStep>(model, *optimizer_, options.graph);
  }
}

void TrainingRun::diverged(const char* what, double value, std::int64_t step) const {
  throw Diverged(fmt::format("the {} became {} at step {}; try a smaller learning rate than {}",
                             what, value, step, options_.schedule.peak));
}

// The examples of a step, in parts that are computed one after the other.
std::vector<Batch> TrainingRun::parts(std::int64_t step) {
  const std::vector<std::int64_t> numbers = loader_.numbers(step);
  const std::size_t piece =
      options_.micro_batch > 0 ? static_cast<std::size_t>(options_.micro_batch) : numbers.size();
  std::vector<Batch> batches;
  for (std::size_t at = 0; at < numbers.size(); at += piece) {
    const ProfiledScope scope("batch", ProfilePhase::other);
    batches.push_back(task_.batch(Split::train, std::span(numbers).subspan(at, piece)));
  }
  return batches;
}

// What is known of the next step before it is computed.
StepReport TrainingRun::begin_report(const std::vector<Batch>& parts) const {
  StepReport report;
  report.step = steps_done_ + 1;
  report.epoch = loader_.epoch_of(steps_done_);
  report.learning_rate = options_.schedule.rate(steps_done_);
  for (const Batch& part : parts) {
    report.tokens += part.tokens.numel();
  }
  return report;
}

StepReport TrainingRun::step_on_cpu() {
  const std::vector<Batch> batches = parts(steps_done_);
  StepReport report = begin_report(batches);
  std::int64_t counted = 0;
  for (const Batch& batch : batches) {
    counted += counted_targets(batch);
  }
  model_.clear_grad();
  for (const Batch& batch : batches) {
    // Each part weighs as much as it has targets, so that the sum is the mean over the whole batch.
    const double share = static_cast<double>(counted_targets(batch)) / static_cast<double>(counted);
    const Variable loss = model_.loss(batch.tokens, batch.targets, batch.lengths);
    report.loss += loss.value().item() * share;
    if (!std::isfinite(report.loss)) {
      diverged("loss", report.loss, report.step);
    }
    loss.backward(Tensor::full({}, share, loss.dtype()));
  }
  {
    const ProfiledScope scope("optimizer", ProfilePhase::other);
    report.gradient_norm = optimizer_->step(report.learning_rate);
  }
  if (!std::isfinite(report.gradient_norm)) {
    diverged("gradient norm", report.gradient_norm, report.step);
  }
  ++steps_done_;
  return report;
}

// `due_` becomes this step.
void TrainingRun::queue_step() {
  const std::vector<Batch> batches = parts(steps_done_);
  Due due{begin_report(batches)};
  on_device_->queue(batches, due.report.learning_rate);
  due.draws = model_.dropout_position();
  due_ = due;
  ++steps_done_;
}

// The report of `due_`, whose figures are those of the step queued `back` calls ago.
StepReport TrainingRun::take_report(int back) {
  const Due due = *std::exchange(due_, std::nullopt);
  StepReport report = due.report;
  const StepFigures figures = on_device_->figures(back);
  report.loss = figures.loss;
  report.gradient_norm = figures.gradient_norm;
  const bool finite = std::isfinite(report.loss) && std::isfinite(report.gradient_norm);
  if (!finite) {
    // A step behind it has changed nothing either, and is forgotten.
    on_device_->clear_halt();
    steps_done_ = report.step - 1;
    model_.set_dropout_position(due.draws);
    diverged(std::isfinite(report.loss) ? "gradient norm" : "loss",
             std::isfinite(report.loss) ? report.gradient_norm : report.loss, report.step);
  }
  optimizer_->count(1);
  return report;
}

StepReport TrainingRun::step() {
  if (on_device_ == nullptr) {
    return step_on_cpu();
  }
  (void)finish();
  queue_step();
  return take_report(0);
}

std::optional<StepReport> TrainingRun::advance() {
  if (on_device_ == nullptr) {
    return step_on_cpu();
  }
  const std::optional<Due> before = due_;
  queue_step();
  if (!before) {
    return std::nullopt;
  }
  const std::optional<Due> now = std::exchange(due_, before);
  const StepReport report = take_report(1);
  due_ = now;
  return report;
}

std::optional<StepReport> TrainingRun::finish() {
  if (!due_) {
    return std::nullopt;
  }
  return take_report(0);
}

std::string TrainingRun::how_steps_run() const {
  if (on_device_ == nullptr) {
    return "kernel by kernel: the CPU has no graphs";
  }
  if (on_device_->used_graph()) {
    return fmt::format("one graph of {} kernels", on_device_->graph_launches());
  }
  return on_device_->why_plain().empty() ? "none yet"
                                         : "kernel by kernel: " + on_device_->why_plain();
}

void TrainingRun::save(const std::string& path, const std::string& configuration,
                       const std::vector<Metric>& metrics) const {
  if (due_) {
    fail("[TrainingRun] the report of step {} is due; finish() comes before save()", steps_done_);
  }
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
  due_.reset();  // a step that was queued before belongs to what was replaced
  if (on_device_ != nullptr) {
    on_device_->clear_halt();
  }
  return state;
}

}  // namespace basin::tasks

#include "tools/trainer/training_session.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "nn/checkpoint.h"
#include "nn/nearest_parameters.h"
#include "tensor/allocator.h"
#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/trainer/shell_word.h"

namespace basin::trainer {

namespace {

// The rows of the run so far, up to its last checkpoint; what came later happens again.
std::vector<MetricsRow> rows_until(const RunFolder& folder, std::int64_t step) {
  std::vector<MetricsRow> kept;
  const std::string path = folder.file(run_files::kMetricsCsv);
  if (folder.has(run_files::kMetricsCsv)) {
    for (MetricsRow& row : read_metrics(path)) {
      if (row.step <= step && row.split != name_of(tasks::Split::test)) {
        kept.push_back(std::move(row));
      }
    }
  }
  // Every run begins with an evaluation, which names the columns.
  if (kept.empty() ? step > 0 : kept.front().metrics.empty()) {
    throw FileError(
        fmt::format("{} does not hold the run up to its checkpoint at step {}; start it "
                    "again with --overwrite",
                    path, step));
  }
  return kept;
}

// Puts a run where its checkpoint was written; returns the rows up to there.
std::vector<MetricsRow> load(tasks::TrainingRun& training, Checkpoints& checkpoints,
                             const RunFolder& folder) {
  training.load(folder.file(run_files::kCheckpoint));
  std::vector<MetricsRow> rows = rows_until(folder, training.steps_done());
  checkpoints.resume(training.steps_done());
  return rows;
}

// Over all sessions; the lines of the log are about equally many tokens.
double mean_tokens_per_second(const std::vector<MetricsRow>& rows) {
  double lines = 0.0;
  double seconds_per_token = 0.0;
  for (const MetricsRow& row : rows) {
    if (row.tokens_per_second && *row.tokens_per_second > 0.0) {
      lines += 1.0;
      seconds_per_token += 1.0 / *row.tokens_per_second;
    }
  }
  return lines > 0.0 ? std::round(lines / seconds_per_token) : 0.0;
}

}  // namespace

TrainingSession::TrainingSession(Experiment& experiment, const RunFolder& folder,
                                 const SessionOptions& options)
    : experiment_(experiment),
      configuration_(experiment.configuration),
      folder_(folder),
      training_(make_training_run(experiment)),
      checkpoints_(folder, configuration_.keep_checkpoints),
      log_(folder.file(run_files::kMetricsCsv), folder.file(run_files::kMetricsJson),
           options.resume ? load(training_, checkpoints_, folder) : std::vector<MetricsRow>()),
      progress_(options.quiet, training_.steps_done(), configuration_.steps,
                configuration_.log_every),
      profile_(options.profile_steps),
      start_(Clock::now()) {
  if (options.anomaly) {
    anomaly_.emplace();
  }
  if (options.resume) {
    earlier_seconds_ = log_.rows().empty() ? 0.0 : log_.rows().back().seconds;
  }
  // step() reports the epoch of the step it did; the row of step s is about step s - 1.
  epoch_ = std::max<std::int64_t>(0, training_.steps_done() - 1) / training_.batches_per_epoch();
}

double TrainingSession::seconds() const {
  const double now = std::chrono::duration<double>(Clock::now() - start_).count();
  return std::round((earlier_seconds_ + now) * 1000.0) / 1000.0;
}

bool TrainingSession::is_due(std::int64_t interval) const {
  return is_due_at(training_.steps_done(), interval);
}

bool TrainingSession::is_due_at(std::int64_t step, std::int64_t interval) const {
  return step == configuration_.steps || (interval > 0 && step % interval == 0);
}

void TrainingSession::save() {
  const MetricsRow* last = log_.last(tasks::Split::validation);
  checkpoints_.save(training_, to_ini(configuration_),
                    last == nullptr ? std::vector<tasks::Metric>() : last->metrics);
}

void TrainingSession::save_if_due() {
  const std::int64_t step = training_.steps_done();
  if (step > 0 && step != checkpoints_.step() && is_due(configuration_.checkpoint_every)) {
    save();
  }
}

void TrainingSession::save_best_if_due() {
  const MetricsRow* best = log_.best(experiment_.task->higher_is_better());
  const std::int64_t step = training_.steps_done();
  if (best != nullptr && best->step == step && step != checkpoints_.best_step()) {
    checkpoints_.save_best(training_, to_ini(configuration_), best->metrics);
  }
}

void TrainingSession::write_profile() {
  if (profile_.write(folder_, configuration_.steps)) {
    progress_.note(fmt::format("profile of steps {}: {}, {}", profile_.steps_text(),
                               folder_.file(run_files::kProfileTable),
                               folder_.file(run_files::kProfileTrace)));
  }
}

void TrainingSession::stop_if_interrupted() {
  if (!interrupt_.requested()) {
    return;
  }
  settle();  // the wish may have come since
  if (checkpoints_.step() != training_.steps_done()) {
    save();
  }
  write_profile();
  throw Interrupted(
      fmt::format("interrupted at step {}; continue with: trainer train --resume "
                  "--out {}",
                  training_.steps_done(), shell_word(folder_.path())));
}

tasks::Evaluation TrainingSession::measure(tasks::Split split, std::int64_t examples) {
  const tasks::Evaluation evaluation =
      tasks::evaluate(*experiment_.model, *experiment_.task, split, configuration_.batch, examples,
                      [&](std::int64_t done, std::int64_t total) {
                        progress_.evaluating(name_of(split), done, total);
                        return !interrupt_.requested();
                      });
  stop_if_interrupted();
  if (!std::isfinite(evaluation.loss)) {
    throw tasks::Diverged(fmt::format(
        "the {} loss became {} at step {}; try a smaller learning rate than {}", name_of(split),
        evaluation.loss, training_.steps_done(), configuration_.learning_rate));
  }
  return evaluation;
}

void TrainingSession::evaluate(tasks::Split split, std::int64_t examples) {
  const tasks::Evaluation evaluation = measure(split, examples);
  MetricsRow row;
  row.step = training_.steps_done();
  row.epoch = epoch_;
  row.split = name_of(split);
  row.loss = evaluation.loss;
  row.metrics = evaluation.metrics;
  row.seconds = seconds();
  log_.add(row);
  progress_.evaluated(name_of(split), row.step, row.loss, row.metrics.front());
}

void TrainingSession::validate_if_due() {
  const MetricsRow* last = log_.last(tasks::Split::validation);
  const std::int64_t step = training_.steps_done();
  const bool is_done = last != nullptr && last->step == step;
  if (!is_done && (step == 0 || is_due(configuration_.eval_every))) {
    evaluate(tasks::Split::validation, configuration_.eval_examples);
    if (step == checkpoints_.step()) {
      save();  // An interrupted validation is done after all: the checkpoint has its metrics, too.
    }
  }
}

// On a device the report is that of the step before, so that the next step is queued before anybody
// waits for this one.
void TrainingSession::train_one_step() {
  profile_.begin_step();
  const bool waits = profile_.is_timing();
  if (waits) {
    settle();
  }
  const Clock::time_point before = Clock::now();
  const std::optional<tasks::StepReport> report = waits ? training_.step() : training_.advance();
  const double took = std::max(1e-9, std::chrono::duration<double>(Clock::now() - before).count());
  if (profile_.end_step(training_.steps_done())) {
    write_profile();
  }
  for (double* spent : {&training_seconds_, &interval_seconds_}) {
    *spent += took;
  }
  if (report) {
    take(*report);
  }
}

void TrainingSession::settle() {
  const Clock::time_point before = Clock::now();
  const std::optional<tasks::StepReport> report = training_.finish();
  if (!report) {
    return;
  }
  const double took = std::chrono::duration<double>(Clock::now() - before).count();
  for (double* spent : {&training_seconds_, &interval_seconds_}) {
    *spent += took;
  }
  take(*report);
}

// Whether something is about to happen that needs the figures of all steps so far.
bool TrainingSession::must_settle() const {
  return is_due(configuration_.eval_every) || is_due(configuration_.checkpoint_every) ||
         interrupt_.requested();
}

void TrainingSession::take(const tasks::StepReport& report) {
  epoch_ = report.epoch;
  for (std::int64_t* tokens : {&tokens_, &interval_tokens_}) {
    *tokens += report.tokens;
  }
  progress_.step(report, static_cast<double>(tokens_) / training_seconds_);
  if (!is_due_at(report.step, configuration_.log_every)) {
    return;
  }
  MetricsRow row;
  row.step = report.step;
  row.epoch = report.epoch;
  row.split = name_of(tasks::Split::train);
  row.loss = report.loss;
  row.learning_rate = report.learning_rate;
  row.gradient_norm = report.gradient_norm;
  row.tokens_per_second = std::round(static_cast<double>(interval_tokens_) / interval_seconds_);
  row.seconds = seconds();
  log_.add(row);
  interval_tokens_ = 0;
  interval_seconds_ = 0.0;
}

std::string TrainingSession::last_good_checkpoint() const {
  return checkpoints_.step()
             ? fmt::format("the last good checkpoint is {} of step {}",
                           folder_.file(run_files::kCheckpoint), *checkpoints_.step())
             : "there is no checkpoint yet";
}

Summary TrainingSession::run() {
  try {
    return run_to_the_end();
  } catch (const tasks::Diverged& error) {
    throw tasks::Diverged(fmt::format("{}; {}", error.what(), last_good_checkpoint()));
  } catch (const AnomalyError& error) {
    const std::vector<std::string> parameters =
        nn::nearest_parameters(error.inputs(), experiment_.model->parameters());
    throw tasks::Diverged(fmt::format(
        "after step {} {}{}; {}", training_.steps_done(), error.what(),
        parameters.empty() ? ""
                           : fmt::format("; nearest parameters: {}", fmt::join(parameters, ", ")),
        last_good_checkpoint()));
  }
}

Summary TrainingSession::run_to_the_end() {
  while (true) {
    if (must_settle()) {
      settle();
    }
    validate_if_due();
    save_if_due();
    save_best_if_due();
    stop_if_interrupted();
    if (training_.steps_done() >= configuration_.steps) {
      break;
    }
    train_one_step();
  }
  write_profile();
  if (profile_.is_missing()) {
    progress_.note(fmt::format("no profile: there were no more than {} steps left, which warm up",
                               StepProfile::kWarmUp));
  }
  evaluate(tasks::Split::test, configuration_.test_examples);
  Summary summary = summarise();
  summary.best_test = test_best();
  write_summary(folder_.file(run_files::kSummary), summary);
  return summary;
}

// The last step of a run: the model has the best weights afterwards, no longer the last ones.
std::optional<BestTest> TrainingSession::test_best() {
  const MetricsRow* best = log_.best(experiment_.task->higher_is_better());
  const MetricsRow* last = log_.last(tasks::Split::test);
  if (best->step == training_.steps_done()) {
    return BestTest{last->loss, last->metrics};
  }
  if (checkpoints_.best_step() != best->step) {
    return std::nullopt;  // Somebody removed best.h5, or an older program began this run.
  }
  nn::load_checkpoint(folder_.file(run_files::kBest), *experiment_.model, nullptr);
  const tasks::Evaluation test = measure(tasks::Split::test, configuration_.test_examples);
  return BestTest{test.loss, test.metrics};
}

Summary TrainingSession::summarise() const {
  const tasks::Task& task = *experiment_.task;
  const MetricsRow* test = log_.last(tasks::Split::test);
  const MetricsRow* best = log_.best(task.higher_is_better());
  const std::int64_t available = task.examples(tasks::Split::test);
  const std::int64_t wanted = configuration_.test_examples;
  Summary s;
  s.version = BASIN_VERSION;
  s.task = configuration_.task;
  s.backbone = configuration_.backbone;
  s.parameters = experiment_.model->parameter_count();
  s.steps = training_.steps_done();
  s.epochs = static_cast<double>(s.steps) / static_cast<double>(training_.batches_per_epoch());
  s.seed = configuration_.seed;
  s.threads = threads();
  s.loss = test->loss;
  s.test_examples = wanted > 0 ? std::min(wanted, available) : available;
  s.metrics = test->metrics;
  s.baselines = task.baselines();
  s.higher_is_better = task.higher_is_better();
  s.best_step = best->step;
  s.best_value = best->metrics.front().value;
  s.seconds = test->seconds;
  s.tokens_per_second = mean_tokens_per_second(log_.rows());
  s.steps_run = training_.how_steps_run();
  s.peak_memory_bytes = allocator_of(configuration_.device)->stats().peak;
  s.configuration = to_map(configuration_);
  return s;
}

}  // namespace basin::trainer

#include <csignal>
#include <filesystem>
#include <system_error>

#include "nn/backbone.h"
#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/report/gnuplot.h"
#include "tools/report/text_file.h"
#include "tools/trainer/arguments.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/curve_plot.h"
#include "tools/trainer/data_settings.h"
#include "tools/trainer/experiment.h"
#include "tools/trainer/graph_file.h"
#include "tools/trainer/memory.h"
#include "tools/trainer/results.h"
#include "tools/trainer/run_folder.h"
#include "tools/trainer/settings.h"
#include "tools/trainer/sweep_runner.h"
#include "tools/trainer/training_session.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

const Syntax kTrainSyntax = {
    "train",
    "Trains a backbone on a task and writes metrics.csv, metrics.jsonl, summary.json, the\n"
    "configuration that repeats the run (config.ini), a checkpoint and a plot. Defaults are in\n"
    "brackets, first the general one.",
    "",
    {{"out", "DIR", "the folder of the run; created if it is not there"},
     {"overwrite", "", "replace the run that the folder holds"},
     {"resume", "", "continue the run that the folder holds; settings stay as they are"},
     {"seeds", "N|A,B,...",
      "a run with each of the seeds 0 to N-1, or with these, one after another below DIR, and "
      "their "
      "mean; 'trainer sweep' does more"},
     {"quiet", "", "print nothing but errors"},
     {"profile", "",
      "time the operations of some steps, after 2 to warm up: profile.txt, profile.json"},
     {"profile-steps", "N", "how many steps --profile times [10]"},
     {"anomaly", "", "find the operation that makes the first NaN or infinity; slow"},
     {"graph", "", "draw the operations of one loss, before training: graph.dot"}},
    true};

// What an earlier run wrote; a mistake in it is no mistake of this command.
Configuration written_configuration(const std::string& path) {
  try {
    return make_configuration(given_by_ini(report::read_text(path), path));
  } catch (const UsageError& error) {
    throw FileError(fmt::format("{} is damaged: {}", path, error.what()));
  }
}

// The folder's configuration. Settings that were given must say the same, but for where it runs.
Configuration resumed_configuration(const RunFolder& folder, const GivenValues& given) {
  const std::string path = folder.file(run_files::kConfiguration);
  if (folder.has(run_files::kSummary)) {
    throw FileError(
        fmt::format("the run in {} is finished; there is nothing to resume", folder.path()));
  }
  if (!folder.has(run_files::kCheckpoint)) {
    throw FileError(
        fmt::format("the run in {} ended before its first checkpoint; start it again "
                    "with --overwrite",
                    folder.path()));
  }
  Configuration stored = written_configuration(path);
  Configuration wanted = stored;
  for (const auto& [name, value] : given) {
    const Setting& setting = *find_setting(name);
    setting.read(wanted, value.text, value.origin);
    keep_path(wanted, name);
    if (name != "threads" && name != "device" && name != "step-graph" &&
        setting.write(wanted) != setting.write(stored)) {
      wrong_usage("{} {} cannot be changed by --resume: the run in {} has {}", value.origin,
                  value.text, folder.path(), setting.write(stored));
    }
  }
  stored.threads = wanted.threads;
  stored.device = wanted.device;
  stored.step_graph = wanted.step_graph;
  return stored;
}

// Finds everything that is wrong with the settings, those of the training, too.
Experiment make_trainable(const Configuration& c, bool quiet) {
  check_memory(c, true);
  Experiment experiment = make_experiment(c, quiet);
  check_memory(experiment.configuration, true);
  (void)make_training_run(experiment);
  return experiment;
}

std::string model_text(const Experiment& experiment) {
  const Configuration& c = experiment.configuration;
  const bool has_heads = nn::backbone_kind(c.backbone).is_association;
  return fmt::format("{}: {} layers, width {}{}; {} parameters", c.backbone, c.layers, c.width,
                     has_heads ? fmt::format(", {} heads", c.heads) : "",
                     experiment.model->parameter_count());
}

std::string baselines_text(const tasks::Task& task) {
  std::string text;
  for (const tasks::Metric& baseline : task.baselines()) {
    text += fmt::format("{}{} {:.4f}", text.empty() ? "" : ", ", baseline.name, baseline.value);
  }
  return fmt::format("{} ({})", text, task.metric_name());
}

void print_header(const Experiment& experiment, const RunFolder& folder) {
  const Configuration& c = experiment.configuration;
  const tasks::Task& task = *experiment.task;
  const std::int64_t examples = task.examples(tasks::Split::train);
  fmt::print("task       {}: length {}, vocabulary {}, {} training examples\n", c.task, c.length,
             task.vocabulary(), examples);
  fmt::print("backbone   {}\n", model_text(experiment));
  fmt::print("device     {}, {} threads, {}\n", name_of(c.device), threads(), name_of(c.dtype));
  fmt::print("training   {} steps of {} examples, {:.2f} epochs, learning rate {}, seed {}\n",
             c.steps, c.batch,
             static_cast<double>(c.steps) / static_cast<double>(examples / c.batch),
             c.learning_rate, c.seed);
  fmt::print("baselines  {}\n", baselines_text(task));
  fmt::print("output     {}\n", folder.path());
}

// 0: none.
std::int64_t profile_steps(const Arguments& arguments) {
  if (!arguments.has("profile")) {
    if (arguments.has("profile-steps")) {
      wrong_usage("--profile-steps would have no effect without --profile");
    }
    return 0;
  }
  constexpr std::int64_t kMostProfiled = 1000;  // a trace of more helps nobody
  return read_whole(arguments.value_or("profile-steps", "10"), 1, kMostProfiled, "--profile-steps");
}

void check_session(const Configuration& c, const SessionOptions& options) {
  if (options.anomaly && c.step_graph == tasks::StepGraph::on) {
    wrong_usage("--anomaly looks at every result of a step, which --step-graph on makes one graph");
  }
  if (options.profile_steps > 0 && c.steps <= StepProfile::kWarmUp) {
    wrong_usage("--profile needs more than {} steps, which warm up; --steps is {}",
                StepProfile::kWarmUp, c.steps);
  }
}

// What the checkpoint with the best validation reaches.
std::string best_text(const Summary& summary) {
  if (!summary.best_test) {
    return fmt::format("there is no {} of the best validation, step {}", run_files::kBest,
                       summary.best_step);
  }
  if (summary.best_step == summary.steps) {
    return "the last checkpoint has the best validation, too";
  }
  const BestTest& best = *summary.best_test;
  return fmt::format(
      "best validation at step {}: its checkpoint has {} {:.4f}, cross-entropy {:.4f}",
      summary.best_step, best.metrics.front().name, best.metrics.front().value, best.loss);
}

void print_result(const Summary& summary) {
  fmt::print("\n{}\n", results_table("test", summary.metrics, summary.loss, summary.baselines));
  fmt::print("{}\n", best_text(summary));
  fmt::print("{} steps in {}, {} tokens/s while training, at most {:.1f} MB of tensors\n",
             summary.steps, duration_text(summary.seconds), amount_text(summary.tokens_per_second),
             static_cast<double>(summary.peak_memory_bytes) / 1e6);
}

// --seeds: a sweep in which only the seed varies.
void train_seeds(const Arguments& arguments) {
  SweepRequest request;
  request.out = arguments.value("out");
  request.resume = arguments.has("resume");
  request.overwrite = arguments.has("overwrite");
  request.quiet = arguments.has("quiet");
  request.jobs = 1;
  if (request.resume) {
    request.sweep = stored_sweep(request.out);
  }
  override_fixed(request.sweep, arguments.settings());
  set_seeds(request.sweep, arguments.value("seeds"));
  run_sweep(request);
}

}  // namespace

void train_command(const std::vector<std::string>& words) {
  const Arguments arguments(kTrainSyntax, words);
  if (arguments.has("help")) {
    fmt::print("{}", help_text(kTrainSyntax));
    return;
  }
  SessionOptions options;
  options.resume = arguments.has("resume");
  options.quiet = arguments.has("quiet");
  options.anomaly = arguments.has("anomaly");
  options.profile_steps = profile_steps(arguments);
  const bool resume = options.resume;
  if (resume && arguments.has("graph")) {
    wrong_usage("--graph is drawn before the first step; --resume begins after it");
  }
  if (resume && arguments.has("overwrite")) {
    wrong_usage("--resume and --overwrite exclude each other");
  }
  if (arguments.has("seeds")) {
    train_seeds(arguments);
    return;
  }
  const std::string& out = arguments.value("out");
  // A reader of our lines that goes away must not end the training.
  std::signal(SIGPIPE, SIG_IGN);

  // Whatever is wrong with the settings or the data is found before the folder is touched.
  Experiment experiment;
  std::string graph;
  std::error_code ignored;
  if (!resume) {
    experiment = make_trainable(make_configuration(arguments.settings()), options.quiet);
    check_session(experiment.configuration, options);
    if (arguments.has("graph")) {
      graph = graph_text(experiment);
    }
  }
  if (resume &&
      !std::filesystem::exists(std::filesystem::path(out) / run_files::kConfiguration, ignored)) {
    throw FileError(fmt::format("{} holds no run to resume", out));
  }
  const RunFolder folder(out);
  if (resume) {
    experiment = make_trainable(resumed_configuration(folder, arguments.settings()), options.quiet);
  } else if (folder.has_run()) {
    if (!arguments.has("overwrite")) {
      throw FileError(
          fmt::format("{} already holds a run; --overwrite replaces it, --resume "
                      "continues it",
                      out));
    }
    folder.clear();
  }
  if (!options.quiet) {
    print_header(experiment, folder);
    std::fflush(stdout);
  }
  if (!resume) {
    report::write_text(folder.file(run_files::kConfiguration), to_ini(experiment.configuration));
    write_curve_script(folder, experiment.configuration, *experiment.task);
  }
  if (!graph.empty()) {
    report::write_text(folder.file(run_files::kGraph), graph);
  }
  Summary summary;
  {
    TrainingSession session(experiment, folder, options);
    summary = session.run();
  }
  const std::string no_plot = report::run_gnuplot(folder.path(), run_files::kCurveScript);
  if (!options.quiet) {
    print_result(summary);
    if (experiment.configuration.device != Device::cpu) {
      fmt::print("steps ran as {}\n", summary.steps_run);
    }
    if (!no_plot.empty()) {
      fmt::print("no {}: {}; the data are in {}, the script is {}\n", run_files::kCurve, no_plot,
                 run_files::kMetricsCsv, run_files::kCurveScript);
    }
  }
}

}  // namespace basin::trainer

#include "tools/trainer/experiment.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

// Runs `make`, whose plain Errors tell of settings that cannot be.
template <class Make>
auto with_usage_errors(const Make& make) {
  try {
    return make();
  } catch (const FileError&) {
    throw;
  } catch (const OutOfMemory&) {
    throw;
  } catch (const Error& error) {
    // Without the name of the class in front, which says nothing to a user.
    const std::string message = error.what();
    const std::size_t end = message.rfind("] ", message.front() == '[' ? message.find(' ') : 0);
    throw UsageError(end == std::string::npos ? message : message.substr(end + 2));
  }
}

nn::BackboneOptions backbone_options(const Configuration& c, const tasks::Task& task) {
  nn::BackboneOptions options;
  options.kind = c.backbone;
  options.vocabulary = task.vocabulary();
  options.width = c.width;
  options.layers = c.layers;
  options.heads = c.heads;
  options.mlp_ratio = c.mlp_ratio;
  options.max_length = task.length();
  options.positions = c.positions;
  options.dropout = c.dropout;
  options.causal = c.causal;
  options.recompute = c.recompute;
  options.dtype = c.dtype;
  if (nn::backbone_kind(c.backbone).is_association) {
    options.beta = c.beta;
    options.learned_beta = c.learned_beta;
    options.update_steps = c.update_steps;
  }
  return options;
}

}  // namespace

DataPath find_data(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::exists(path, ignored)) {
    return {fs::absolute(path).lexically_normal().string(), path};
  }
  const char* folder = std::getenv("BASIN_DATA");
  const bool has_folder = folder != nullptr && *folder != '\0';
  if (fs::path(path).is_absolute() || !has_folder) {
    throw FileError(fmt::format("there is no data file {}{}", path,
                                fs::path(path).is_absolute() || has_folder
                                    ? ""
                                    : " (and the variable BASIN_DATA names no folder to look in)"));
  }
  const std::string below = (fs::path(folder) / path).string();
  if (!fs::exists(below, ignored)) {
    throw FileError(fmt::format("there is no data file {}, nor {} ($BASIN_DATA)", path, below));
  }
  // Kept as it was written, so that the configuration goes where the data folder is another one.
  return {path, below};
}

Experiment make_experiment(const Configuration& configuration) {
  return with_usage_errors([&] {
    if (configuration.threads > 0) {
      set_threads(static_cast<int>(configuration.threads));
    } else {
      (void)threads();  // complains about a BASIN_THREADS that cannot be
    }
    Experiment experiment;
    experiment.configuration = configuration;
    tasks::TaskOptions options;
    options.name = configuration.task;
    options.length = configuration.length;
    options.vocabulary = configuration.vocabulary;
    options.seed = configuration.seed;
    if (tasks::task_kind(configuration.task).needs_data) {
      const DataPath data = find_data(configuration.data);
      options.data = data.opened;
      experiment.configuration.data = data.kept;
    }
    experiment.task = tasks::make_task(options);
    experiment.model = std::make_unique<nn::LanguageModel>(
        backbone_options(configuration, *experiment.task), configuration.seed,
        nn::HeadOptions{configuration.tie_weights, configuration.label_smoothing});
    return experiment;
  });
}

tasks::TrainingRun make_training_run(Experiment& experiment) {
  const Configuration& c = experiment.configuration;
  tasks::TrainingOptions options;
  options.batch = c.batch;
  options.micro_batch = c.micro_batch;
  options.seed = c.seed;
  options.schedule = {c.schedule, c.learning_rate, c.warmup, c.steps, c.final_fraction};
  options.optimizer.kind = c.optimizer;
  options.optimizer.momentum = c.momentum;
  options.optimizer.nesterov = c.nesterov;
  options.optimizer.beta1 = c.beta1;
  options.optimizer.beta2 = c.beta2;
  options.optimizer.weight_decay = c.weight_decay;
  options.optimizer.clip_norm = c.clip;
  return with_usage_errors(
      [&] { return tasks::TrainingRun(*experiment.task, *experiment.model, options); });
}

}  // namespace basin::trainer

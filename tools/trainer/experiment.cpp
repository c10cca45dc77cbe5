#include "tools/trainer/experiment.h"

#include <string>

#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/trainer/data_settings.h"
#include "tools/trainer/memory.h"
#include "tools/trainer/preparation.h"
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
  options.embedding_deviation = c.embedding_deviation;
  options.dropout = c.dropout;
  options.causal = c.causal;
  options.recompute = c.recompute;
  options.dtype = c.dtype;
  options.precision = c.precision;
  options.recurrence = c.recurrence;
  if (nn::backbone_kind(c.backbone).is_association) {
    options.association = c.association;
  }
  return options;
}

std::unique_ptr<tasks::Task> prepare_task(const Configuration& configuration, bool quiet) {
  Preparation preparation(quiet);
  tasks::TaskOptions options = task_options(configuration);
  options.progress = [&](const std::string& what, std::int64_t done, std::int64_t total) {
    return preparation.show(what, done, total);
  };
  try {
    return tasks::make_task(options);
  } catch (const tasks::PreparationStopped&) {
    throw Interrupted(
        fmt::format("interrupted while {}; nothing was written", preparation.status()));
  }
}

}  // namespace

Experiment make_experiment(const Configuration& configuration, bool quiet) {
  require(configuration.device);  // not wrong usage: elsewhere the same command works
  if (configuration.recurrence == nn::Recurrence::cudnn && configuration.device != Device::cuda) {
    wrong_usage("--recurrence cudnn computes on a GPU (--device cuda), and this run is on {}",
                name_of(configuration.device));
  }
  return with_usage_errors([&] {
    if (configuration.threads > 0) {
      set_threads(static_cast<int>(configuration.threads));
    } else {
      (void)threads();  // complains about a BASIN_THREADS that cannot be
    }
    Experiment experiment;
    experiment.configuration = configuration;
    experiment.task = prepare_task(configuration, quiet);
    for (const char* path : {"data", "validation-data", "test-data", "tokenizer"}) {
      keep_path(experiment.configuration, path);
    }
    keep_digest(experiment.configuration, *experiment.task);
    experiment.configuration.vocabulary = experiment.task->vocabulary();
    check_memory(experiment.configuration, false);  // only now the vocabulary is known for sure
    experiment.model = std::make_unique<nn::LanguageModel>(
        backbone_options(configuration, *experiment.task), configuration.seed,
        nn::HeadOptions{configuration.tie_weights, configuration.label_smoothing});
    experiment.model->to(configuration.device);
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
  options.graph = c.step_graph;
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

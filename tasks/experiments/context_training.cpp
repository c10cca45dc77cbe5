#include "tasks/experiments/context_training.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "nn/diagnostics/head_diagnostics.h"
#include "nn/language_model.h"
#include "tasks/experiments/separations_in_context.h"
#include "tasks/training.h"

namespace basin::experiments {

namespace {

using nn::RowFigure;

nn::BackboneOptions backbone_of(const ContextPlan& plan, const tasks::Task& task, const Arm& arm) {
  nn::BackboneOptions options;
  options.vocabulary = task.vocabulary();
  options.max_length = task.length();
  options.width = plan.width;
  options.layers = plan.layers;
  options.heads = plan.heads;
  options.mlp_ratio = plan.mlp_ratio;
  options.embedding_deviation = 0.2;
  options.association = arm.options;
  return options;
}

nlohmann::json summary_of(const nn::FigureSummary& figure) {
  nlohmann::json result;
  result["mean"] = to_json(figure.mean);
  for (const double quantile : figure.quantiles) {
    result["quantiles"].push_back(to_json(quantile));
  }
  return result;
}

// The rows that ask for something, on validation data: the test split is for accuracies alone.
nlohmann::json diagnose(const nn::LanguageModel& model, const tasks::Task& task,
                        std::int64_t examples) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(examples));
  std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
  const tasks::Batch batch = task.batch(tasks::Split::validation, numbers);
  std::vector<std::uint8_t> asks;
  for (const std::int64_t source : batch.sources.to_vector<std::int64_t>()) {
    asks.push_back(source >= 0 ? 1 : 0);
  }
  nn::HeadDiagnostics diagnostics;
  diagnostics.observe([&] { (void)model.predict(batch.tokens, batch.targets); },
                      Tensor::from<std::uint8_t>(batch.tokens.shape(), asks), batch.sources);
  nlohmann::json heads = nlohmann::json::array();
  for (const nn::HeadSummary& head : diagnostics.summary()) {
    nlohmann::json one;
    one["layer"] = head.layer;
    one["head"] = head.head;
    one["beta"] = head.beta;
    one["rows"] = head.rows;
    one["empty"] = head.empty;
    for (const double share : head.regimes) {
      one["regimes"].push_back(to_json(share));
    }
    one["relative entropy"] = summary_of(head.relative_entropy);
    one["relative k0.9"] = summary_of(head.relative_fewest);
    for (std::size_t n = 0; n < head.figures.size(); ++n) {
      one[nn::name_of(static_cast<RowFigure>(n))] = summary_of(head.figures[n]);
    }
    heads.push_back(std::move(one));
  }
  return heads;
}

nlohmann::json metrics_of(const tasks::Evaluation& evaluation) {
  nlohmann::json result = {{"loss", evaluation.loss}};
  for (const tasks::Metric& metric : evaluation.metrics) {
    result[metric.name] = metric.value;
  }
  return result;
}

std::vector<Tensor> copies_of(const nn::LanguageModel& model) {
  std::vector<Tensor> weights;
  for (const nn::Parameter& parameter : model.parameters()) {
    weights.push_back(parameter.variable.value().clone());
  }
  return weights;
}

void put_back(nn::LanguageModel& model, const std::vector<Tensor>& weights) {
  std::size_t n = 0;
  for (nn::Parameter& parameter : model.parameters()) {
    parameter.variable.mutable_value().copy_from(weights[n++]);
  }
}

nlohmann::json train(const Settings& settings, const ContextPlan& plan, const ContextTask& setup,
                     const Arm& arm, std::int64_t seed, const Progress& progress) {
  tasks::TaskOptions options = setup.task;
  options.seed = static_cast<std::uint64_t>(seed);
  const auto task = tasks::make_task(options);
  nn::LanguageModel model(backbone_of(plan, *task, arm), static_cast<std::uint64_t>(seed));
  model.to(settings.device);
  tasks::TrainingOptions training;
  training.batch = setup.batch;
  training.seed = static_cast<std::uint64_t>(seed);
  training.schedule = {nn::ScheduleKind::cosine, setup.learning_rate, setup.steps / 20, setup.steps,
                       0.1};
  tasks::TrainingRun run(*task, model, training);

  nlohmann::json result;
  result["parameters"] = model.parameter_count();
  nlohmann::json& curve = result["curve"];
  const std::int64_t every = std::max<std::int64_t>(1, setup.steps / plan.validations);
  double best = std::numeric_limits<double>::infinity();
  std::int64_t best_step = 0;
  std::vector<Tensor> best_weights;
  double train_loss = 0;
  std::int64_t since = 0;
  for (std::int64_t step = 1; step <= setup.steps; ++step) {
    train_loss += run.step().loss;
    ++since;
    if (step % every == 0 || step == setup.steps) {
      const tasks::Evaluation validation =
          tasks::evaluate(model, *task, tasks::Split::validation, 64, plan.validation_examples);
      curve["step"].push_back(step);
      curve["train loss"].push_back(train_loss / static_cast<double>(since));
      curve["validation loss"].push_back(validation.loss);
      curve["validation accuracy"].push_back(validation.metrics.front().value);
      train_loss = 0;
      since = 0;
      if (validation.loss < best) {
        best = validation.loss;
        best_step = step;
        best_weights = copies_of(model);
      }
      if (progress.tell) {
        progress.tell(static_cast<double>(step) / static_cast<double>(setup.steps),
                      fmt::format("step {}, {} {:.3f}", step, task->metric_name(),
                                  validation.metrics.front().value));
      }
    }
  }
  model.train(false);
  result["heads"] = diagnose(model, *task, plan.diagnosed_examples);
  result["metric"] = task->metric_name();
  for (const tasks::Metric& baseline : task->baselines()) {
    result["baselines"].push_back({{"name", baseline.name}, {"value", baseline.value}});
  }
  // The test split, once: the last weights, and those that validation chose.
  const auto test = [&] {
    return metrics_of(tasks::evaluate(model, *task, tasks::Split::test, 64, plan.test_examples));
  };
  result["test"]["last"] = test();
  put_back(model, best_weights);
  result["test"]["best"] = test();
  result["best step"] = best_step;
  return result;
}

}  // namespace

ContextPlan context_plan(Size size) {
  ContextPlan plan;
  ContextTask copying;
  copying.task.name = "copying";
  ContextTask recall;
  recall.task.name = "recall";
  switch (size) {
    case Size::smoke:
      plan.width = 16;
      plan.heads = 2;
      plan.mlp_ratio = 2;
      plan.validations = 4;
      plan.validation_examples = 32;
      plan.test_examples = 64;
      plan.diagnosed_examples = 8;
      copying.task.length = 8;
      copying.task.vocabulary = 8;
      recall.task.length = 7;
      recall.task.vocabulary = 9;
      copying.steps = recall.steps = 40;
      copying.batch = recall.batch = 16;
      break;
    case Size::small:
    case Size::gpu:
      copying.task.length = 48;
      copying.task.vocabulary = 34;
      recall.task.length = 25;
      recall.task.vocabulary = 33;
      copying.steps = 150;
      recall.steps = 800;
      copying.learning_rate = recall.learning_rate = 2e-3;
      plan.seeds = size == Size::small ? 5 : 10;
      break;
    case Size::full:
      copying.task.length = 128;
      copying.task.vocabulary = 64;
      recall.task.length = 64;
      recall.task.vocabulary = 64;
      copying.steps = 2000;
      recall.steps = 20000;
      plan.width = 128;
      plan.seeds = 5;
      plan.validation_examples = 512;
      plan.test_examples = 10000;
      plan.diagnosed_examples = 256;
      break;
  }
  plan.tasks = {copying, recall};
  return plan;
}

std::string context_key(const std::string& task, const std::string& arm, std::int64_t seed) {
  return fmt::format("task={}/arm={}/seed={}", task, arm, seed);
}

std::vector<Part> context_parts(const Settings& settings) {
  const ContextPlan plan = context_plan(settings.size);
  std::vector<Part> parts;
  for (const ContextTask& setup : plan.tasks) {
    for (const Arm& arm : arms_of(plan.width / plan.heads)) {
      for (std::int64_t n = 0; n < plan.seeds; ++n) {
        const std::int64_t seed = settings.seed + n;
        Part part;
        part.key = context_key(setup.task.name, arm.name, seed);
        part.cost = static_cast<double>(setup.steps * setup.batch * setup.task.length);
        part.compute = [settings, plan, setup, arm, seed](const Progress& progress) {
          return train(settings, plan, setup, arm, seed, progress);
        };
        parts.push_back(std::move(part));
      }
    }
  }
  return parts;
}

}  // namespace basin::experiments

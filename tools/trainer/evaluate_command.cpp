#include <nlohmann/json.hpp>

#include "nn/checkpoint.h"
#include "tensor/device.h"
#include "tensor/error.h"
#include "tools/report/text_file.h"
#include "tools/trainer/arguments.h"
#include "tools/trainer/chosen_checkpoint.h"
#include "tools/trainer/commands.h"
#include "tools/trainer/data_settings.h"
#include "tools/trainer/memory.h"
#include "tools/trainer/progress.h"
#include "tools/trainer/results.h"
#include "tools/trainer/settings.h"
#include "tools/trainer/stored_run.h"
#include "tools/trainer/usage_error.h"
#include "tools/trainer/values.h"

namespace basin::trainer {

namespace {

const Syntax kEvaluateSyntax = {
    "evaluate",
    "Evaluates a checkpoint on the task it was trained for; task and model are rebuilt from the\n"
    "settings in the checkpoint.",
    "",
    {kCheckpointOption,
     kWhichOption,
     {"split", "NAME", "validation or test [test]"},
     {"examples", "N", "how many; 0: all [as the run did]"},
     {"data", "PATH", "the file or folder to read [as the run did]"},
     {"validation-data", "PATH", "text to validate and test on [as the run did]"},
     {"test-data", "PATH", "text to test on [as the run did]"},
     {"eval-stride", "N", "tokens between the beginnings of chunks [as the run did]"},
     {"batch", "N", "examples at a time [as the run did]"},
     {"threads", "N", "of the CPU [one per core]"},
     {"device", "NAME", "auto, cpu, cuda or simt [auto]"},
     {"precision", "NAME", "of products: f32, tf32 or bf16 [as the run did]"},
     {"task", "NAME", "refuse a checkpoint of another task"},
     {"backbone", "NAME", "refuse a checkpoint of another backbone"},
     {"out", "FILE", "write the figures as JSON, too"}},
    false};

void refuse_other(const std::string& path, const char* what, const std::string& stored,
                  const std::string& asked) {
  if (stored != asked) {
    throw FileError(
        fmt::format("{} holds a model with the {} '{}', not '{}'", path, what, stored, asked));
  }
}

// The settings in the checkpoint, of which the arguments change what does not change the model.
Configuration read_configuration(const std::string& path, const std::string& text,
                                 const Arguments& arguments) {
  Configuration c = stored_configuration(path, text);
  refuse_other(path, "task", c.task, arguments.value_or("task", c.task));
  refuse_other(path, "backbone", c.backbone, arguments.value_or("backbone", c.backbone));
  c.threads = 0;
  c.device = best_device();
  c.recurrence = nn::Recurrence::own;  // which every machine has
  // What the weights were trained with must be the same; what they are tried on need not.
  if (arguments.has("data")) {
    c.data_digest = vocabulary_digest(c.data_digest);
  } else if (arguments.has("validation-data") || arguments.has("test-data")) {
    c.data_digest = training_digest(c.data_digest);
  }
  for (const char* name : {"data", "validation-data", "test-data", "eval-stride", "batch",
                           "threads", "device", "precision"}) {
    if (!arguments.has(name)) {
      continue;
    }
    const Setting& setting = *find_setting(name);
    const std::string origin = std::string("--").append(name);
    if (const std::string reason = setting.no_effect(c); !reason.empty()) {
      wrong_usage("{} would have no effect: {}", origin, reason);
    }
    setting.read(c, arguments.value(name), origin);
  }
  if (c.eval_stride > c.length) {
    wrong_usage("--eval-stride {} is longer than the chunks of the run, {}", c.eval_stride,
                c.length);
  }
  const std::string& other = c.test_data.empty() ? c.validation_data : c.test_data;
  if (arguments.has("data") && !other.empty()) {
    wrong_usage(
        "--data would not change what is evaluated: that is {}; give --validation-data or "
        "--test-data, or both as none",
        other);
  }
  return c;
}

nlohmann::ordered_json metrics_json(const std::vector<tasks::Metric>& metrics) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const tasks::Metric& metric : metrics) {
    list.push_back({{"name", metric.name}, {"value", metric.value}});
  }
  return list;
}

const char* products_in(const Configuration& c) {
  return c.dtype == DType::f64 ? name_of(c.dtype) : name_of(c.precision);
}

void write_json(const std::string& path, const std::string& checkpoint, std::int64_t step,
                const Configuration& c, tasks::Split split, const tasks::Evaluation& evaluation,
                const tasks::Task& task) {
  using Json = nlohmann::ordered_json;
  const Json json = {
      {"program", "basin trainer"},
      {"version", BASIN_VERSION},
      {"checkpoint", checkpoint},
      {"step", step},
      {"task", c.task},
      {"backbone", c.backbone},
      {"precision", products_in(c)},
      {name_of(split),
       {{"examples", evaluation.examples},
        {"loss", evaluation.loss},
        {"metrics", metrics_json(evaluation.metrics)}}},
      {"baselines", metrics_json(task.baselines())},
      {"higher_is_better", task.higher_is_better()},
  };
  report::write_text(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace

void evaluate_command(const std::vector<std::string>& words) {
  const Arguments arguments(kEvaluateSyntax, words);
  if (arguments.has("help")) {
    fmt::print("{}", help_text(kEvaluateSyntax));
    return;
  }
  const std::string path = chosen_checkpoint(arguments);
  const tasks::Split splits[] = {tasks::Split::validation, tasks::Split::test};
  const tasks::Split split =
      splits[read_choice(arguments.value_or("split", "test"), {"validation", "test"}, "--split")];
  std::int64_t examples = -1;
  if (arguments.has("examples")) {
    examples = read_whole(arguments.value("examples"), 0, INT64_MAX, "--examples");
  }
  for (const char* name : {"task", "backbone"}) {
    if (arguments.has(name)) {
      const std::string origin = std::string("--").append(name);
      (name == std::string("task") ? check_task : check_backbone)(arguments.value(name), origin);
    }
  }
  const std::string out = arguments.value_or("out", "");
  if (!out.empty()) {
    report::check_writable(out);
  }

  const nn::TrainingState state = nn::read_training_state(path);
  const Configuration c = read_configuration(path, state.configuration, arguments);
  if (examples < 0) {
    examples = split == tasks::Split::test ? c.test_examples : c.eval_examples;
  }
  check_memory(c, false);
  Experiment experiment = rebuild(path, c);
  nn::load_checkpoint(path, *experiment.model, nullptr);

  tasks::Evaluation evaluation;
  {
    Progress progress(false, state.step, c.steps, 1);
    evaluation = tasks::evaluate(*experiment.model, *experiment.task, split, c.batch, examples,
                                 [&](std::int64_t done, std::int64_t total) {
                                   progress.evaluating(name_of(split), done, total);
                                   return true;
                                 });
  }
  fmt::print("{} on {}, step {} of {}, {} examples, products in {}\n\n", c.backbone, c.task,
             state.step, c.steps, evaluation.examples, products_in(c));
  fmt::print("{}", results_table(name_of(split), evaluation.metrics, evaluation.loss,
                                 experiment.task->baselines()));
  if (!out.empty()) {
    write_json(out, path, state.step, c, split, evaluation, *experiment.task);
  }
}

}  // namespace basin::trainer

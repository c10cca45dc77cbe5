#include "tools/trainer/defaults.h"

#include <algorithm>

#include "nn/backbone.h"
#include "tasks/task.h"

namespace basin::trainer {

namespace {

struct TaskDefaults {
  const char* task;
  std::int64_t width, layers, heads, batch, steps;
  double learning_rate;
  double embedding_deviation;
  std::int64_t warmup;
  std::int64_t eval_examples, test_examples;  // 0: all
  const char* causal_only;                    // why, or empty
};

// A task that is not listed gets the first line.
constexpr TaskDefaults kTasks[] = {
    {"copying", 64, 2, 4, 32, 1000, 3e-3, 0.02, 50, 500, 2000, ""},
    {"recall", 64, 2, 4, 32, 1500, 2e-3, 0.2, 50, 500, 2000, ""},
    {"text", 128, 2, 4, 32, 1500, 3e-3, 0.02, 50, 0, 0,
     "the target of a token is the next one, which the model would see"},
};

const TaskDefaults& defaults_of(const std::string& task) {
  const auto* found = std::find_if(std::begin(kTasks), std::end(kTasks),
                                   [&](const TaskDefaults& line) { return line.task == task; });
  return found == std::end(kTasks) ? kTasks[0] : *found;
}

}  // namespace

Configuration default_configuration(const std::string& task, const std::string& backbone) {
  const TaskDefaults& line = defaults_of(task);
  const tasks::TaskKind& task_kind = tasks::task_kind(task);
  Configuration c;
  c.task = task;
  c.backbone = backbone;
  c.length = task_kind.default_length;
  c.vocabulary = task_kind.default_vocabulary;
  c.width = line.width;
  c.layers = line.layers;
  c.heads = line.heads;
  c.batch = line.batch;
  c.steps = line.steps;
  c.learning_rate = line.learning_rate;
  c.embedding_deviation = line.embedding_deviation;
  c.eval_examples = line.eval_examples;
  c.test_examples = line.test_examples;
  c.association = nn::backbone_kind(backbone).defaults;
  set_step_defaults(c);
  return c;
}

void set_step_defaults(Configuration& c) {
  c.warmup = std::min(defaults_of(c.task).warmup, c.steps / 10);
  c.log_every = std::max<std::int64_t>(1, c.steps / 100);
  c.eval_every = std::max<std::int64_t>(1, c.steps / 20);
  c.checkpoint_every = std::max<std::int64_t>(1, c.steps / 10);
}

std::string causal_only(const std::string& task) { return defaults_of(task).causal_only; }

}  // namespace basin::trainer

// The runs of separations-in-context: one small model on one task, trained, judged and diagnosed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/experiments/experiment.h"
#include "tasks/task.h"

namespace basin::experiments {

/// A task and what its models train with, the same for all arms.
struct ContextTask {
  tasks::TaskOptions task;
  std::int64_t steps = 0;
  std::int64_t batch = 32;
  double learning_rate = 1e-3;
};

struct ContextPlan {
  std::vector<ContextTask> tasks;
  std::int64_t width = 64, layers = 2, heads = 4, mlp_ratio = 4;
  std::int64_t seeds = 3;
  std::int64_t validations = 20;  ///< along a run
  std::int64_t validation_examples = 128, test_examples = 1000, diagnosed_examples = 64;
};
ContextPlan context_plan(Size size);

/// "task=recall/arm=softmax/seed=0".
std::string context_key(const std::string& task, const std::string& arm, std::int64_t seed);

std::vector<Part> context_parts(const Settings& settings);

}  // namespace basin::experiments

#include "tools/trainer/graph_file.h"

#include <numeric>
#include <utility>
#include <vector>

#include "autograd/graph_export.h"
#include "tensor/error.h"
#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {
constexpr std::size_t kMostOperations = 500;
}

std::string graph_text(Experiment& experiment) {
  const Configuration& c = experiment.configuration;
  nn::LanguageModel& model = *experiment.model;
  std::vector<std::int64_t> numbers(
      static_cast<std::size_t>(c.micro_batch > 0 ? c.micro_batch : c.batch));
  std::iota(numbers.begin(), numbers.end(), 0);
  const tasks::Batch batch = experiment.task->batch(tasks::Split::train, numbers);
  const std::uint64_t dropout_position = model.dropout_position();
  const Variable loss = model.loss(batch.tokens, batch.targets, batch.lengths);
  model.set_dropout_position(dropout_position);
  std::vector<std::pair<std::string, Variable>> names;
  for (const nn::Parameter& parameter : model.parameters()) {
    names.emplace_back(parameter.name, parameter.variable);
  }
  try {
    return to_graphviz(loss, names, kMostOperations);
  } catch (const Error&) {
    wrong_usage(
        "--graph: the loss has more than {} operations, too many for a picture; draw fewer "
        "--layers (now {})",
        kMostOperations, c.layers);
  }
}

}  // namespace basin::trainer

#include "nn/nearest_parameters.h"

#include <unordered_set>

#include "autograd/node.h"

namespace basin::nn {

std::vector<std::string> nearest_parameters(const std::vector<Variable>& inputs,
                                            const std::vector<Parameter>& parameters) {
  std::unordered_set<const Node*> seen;
  std::vector<Variable> level = inputs;
  while (!level.empty()) {
    std::vector<std::string> names;
    for (const Parameter& parameter : parameters) {
      for (const Variable& variable : level) {
        if (variable.same_as(parameter.variable)) {
          names.push_back(parameter.name);
          break;
        }
      }
    }
    if (!names.empty()) {
      return names;
    }
    std::vector<Variable> next;
    for (const Variable& variable : level) {
      const Node* node = variable.defined() ? variable.node().get() : nullptr;
      if (node != nullptr && seen.insert(node).second) {
        next.insert(next.end(), node->inputs().begin(), node->inputs().end());
      }
    }
    level = std::move(next);
  }
  return {};
}

}  // namespace basin::nn

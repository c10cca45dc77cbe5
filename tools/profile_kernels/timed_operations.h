// Differentiable operations on problems of any size, as a model calls them: with memory from the
// allocator and, going backward, a recorded graph.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "kernels/table/sizes.h"

namespace basin::profile_kernels {

struct OperationProblem {
  std::map<std::string, Variable> inputs;  ///< leaves, drawn; all of them get a gradient
  std::vector<Variable> constants{};       ///< leaves without a gradient
  std::map<std::string, Tensor> ids;       ///< what has no gradient; stays on the CPU
  std::function<Variable()> forward;

  /// Moves inputs and constants, and with them the work.
  void to(Device device);
};

struct TimedOperation {
  std::string name;
  std::string summary;
  std::vector<kernels::SizeParameter> parameters;
  std::function<OperationProblem(const kernels::Sizes&)> make;
};

/// To time one more operation, add an entry in timed_operations.cpp.
const std::vector<TimedOperation>& timed_operations();

}  // namespace basin::profile_kernels

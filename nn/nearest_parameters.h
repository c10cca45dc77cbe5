// Where in a model an operation is.
#pragma once

#include <string>
#include <vector>

#include "nn/module.h"

namespace basin::nn {

/// The names of those `parameters` that are reached with the fewest operations in between, going
/// backwards from the inputs of an operation; none if there are none behind it.
std::vector<std::string> nearest_parameters(const std::vector<Variable>& inputs,
                                            const std::vector<Parameter>& parameters);

}  // namespace basin::nn

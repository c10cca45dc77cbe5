// Derivatives against finite differences.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace basin {

struct GradcheckOptions {
  double step = 1e-6;  ///< of the central difference
  double atol = 1e-6;
  double rtol = 1e-5;           ///< relative to the numerical derivative
  std::uint64_t seed = 0x5eed;  ///< of the random cotangent
};

struct GradcheckResult {
  bool ok = true;
  double worst = 0.0;   ///< largest error over what was allowed for it
  std::string message;  ///< where and by how much, if not ok
};

using DifferentiableFunction = std::function<Variable(const std::vector<Variable>&)>;

/// Compares the gradient of <c, f(inputs)>, c a random cotangent, with central differences in every
/// element of every f64 input (others are passed on unchanged). A random cotangent matters: the sum
/// of the outputs hides the gradients of everything that is normalised. Also checks that f gives
/// the same bits when called twice.
GradcheckResult gradcheck(const DifferentiableFunction& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

}  // namespace basin

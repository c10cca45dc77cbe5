// The op database: each operation declares, in its own file, inputs on which it is tested. Tests
// run over all of them; nothing central has to be edited when an operation is added.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/gradcheck.h"
#include "tensor/rng.h"

namespace basin {

/// One call that has to work: its gradient is checked by finite differences in f64 and its f32
/// value is compared with the f64 value.
struct OpSample {
  std::string name;
  std::vector<Tensor> inputs;  ///< f64 inputs are differentiated
  DifferentiableFunction call;
};

/// One call that has to be refused with an Error whose message contains `message_part`.
struct OpError {
  std::string name;
  std::function<void()> call;
  std::string message_part;
};

struct OpEntry {
  std::string name;
  std::function<std::vector<OpSample>(Rng&)> samples;
  std::function<std::vector<OpError>()> errors;
};

const std::vector<OpEntry>& op_database();

/// A namespace-scope object of this type in autograd/ops/<op>.cpp adds an entry before main().
struct RegisterOp {
  explicit RegisterOp(OpEntry entry);
};

}  // namespace basin

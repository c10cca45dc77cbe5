// Running the samples of the op database, forward and backward.
#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <vector>

#include "autograd/opdb.h"
#include "tensor/rng.h"

namespace basin::test {

/// The value of a call and the gradients of its inputs, undefined where there is none.
struct OpOutcome {
  Tensor value;
  std::vector<Tensor> gradients;

  std::vector<Tensor> all() const {
    std::vector<Tensor> tensors = gradients;
    tensors.push_back(value);
    return tensors;
  }
};

/// A gradient for the result of a call, the same numbers in f32 and f64.
inline Tensor cotangent_for(const Tensor& value) {
  return Rng(99).normal(value.shape(), 1.0, DType::f64).to(value.dtype());
}

/// `inputs` are those of the sample, or the same in f32. `cotangent` may be undefined: then
/// cotangent_for() makes one.
inline OpOutcome run_sample(const OpSample& sample, const std::vector<Tensor>& inputs,
                            const Tensor& cotangent = {}) {
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) {
    leaves.emplace_back(input, is_floating(input.dtype()));
  }
  const Variable y = sample.call(leaves);
  if (y.requires_grad()) {
    y.backward(cotangent.defined() ? cotangent : cotangent_for(y.value()));
  }
  OpOutcome outcome{y.value(), {}};
  for (const Variable& leaf : leaves) {
    outcome.gradients.push_back(leaf.grad());
  }
  return outcome;
}

/// The f64 inputs in f32, the others as they are.
inline std::vector<Tensor> in_f32(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> result;
  for (const Tensor& input : inputs) {
    result.push_back(input.dtype() == DType::f64 ? input.to(DType::f32) : input);
  }
  return result;
}

/// The samples of an entry, the same at each call.
inline std::vector<OpSample> samples_of(const OpEntry& entry) {
  Rng rng(2024);
  return entry.samples(rng);
}

/// Tests over the op database, one per entry: GetParam() is its index.
class OpTest : public testing::TestWithParam<std::size_t> {
 protected:
  const OpEntry& entry() const { return op_database()[GetParam()]; }
  std::vector<OpSample> samples() const { return samples_of(entry()); }
};

inline std::string op_test_name(const testing::TestParamInfo<std::size_t>& info) {
  std::string name = op_database()[info.param].name;
  for (char& c : name) {
    c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  }
  return name;
}

}  // namespace basin::test

// What every operation has to do, over the samples each of them declares.
#include "autograd/opdb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "autograd/gradcheck.h"
#include "kernels/elementwise/elementwise.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/op_runs.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"

namespace basin::test {
namespace {

class Op : public OpTest {};

TEST_P(Op, DeclaresSamplesAndErrors) {
  EXPECT_FALSE(entry().samples == nullptr || samples().empty()) << "no sample";
  EXPECT_FALSE(entry().errors == nullptr || entry().errors().empty()) << "no error";
}

TEST_P(Op, GradientAgreesWithFiniteDifferences) {
  for (const OpSample& sample : samples()) {
    // Two cotangents: a gradient that is wrong in one direction only could hide from one of them.
    for (const std::uint64_t seed : {1, 2}) {
      GradcheckOptions options;
      options.seed = seed;
      const GradcheckResult result = gradcheck(sample.call, sample.inputs, options);
      EXPECT_TRUE(result.ok) << sample.name << ": " << result.message;
      EXPECT_TRUE(result.worst <= 1.0) << sample.name;
    }
  }
}

// |a - b| <= tolerance (1 + |b|), everywhere; false for NaN and for other shapes.
bool close(const Tensor& a, const Tensor& b, double tolerance) {
  if (!a.defined() || !b.defined()) {
    return a.defined() == b.defined();
  }
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  bool all = a.shape() == b.shape();
  for (std::size_t n = 0; all && n < x.size(); ++n) {
    all = std::abs(x[n] - y[n]) <= tolerance * (1 + std::abs(y[n]));
  }
  return all;
}

TEST_P(Op, AgreesBetweenF32AndF64) {
  for (const OpSample& sample : samples()) {
    const std::vector<Tensor> rounded = in_f32(sample.inputs);
    std::vector<Tensor> exact;  // the rounded inputs, so that only the arithmetic differs
    for (std::size_t n = 0; n < rounded.size(); ++n) {
      exact.push_back(rounded[n].to(sample.inputs[n].dtype()));
    }
    const OpOutcome twice = run_sample(sample, exact);
    const OpOutcome single = run_sample(sample, rounded);
    EXPECT_EQ(single.value.dtype(), DType::f32) << sample.name;
    // A few dozen roundings of 6e-8 in the value; the gradient goes through twice as many.
    EXPECT_TRUE(close(single.value, twice.value, 1e-5)) << sample.name;
    for (std::size_t n = 0; n < exact.size(); ++n) {
      EXPECT_TRUE(close(single.gradients[n], twice.gradients[n], 5e-5))
          << sample.name << ", gradient of input " << n;
    }
  }
}

TEST_P(Op, RefusesWhatItCannotDo) {
  for (const OpError& error : entry().errors()) {
    EXPECT_FALSE(error.message_part.empty()) << error.name;
    EXPECT_TRUE(refuses<Error>(error.call, {error.message_part})) << error.name;
  }
}

TEST_P(Op, GivesTheSameBitsAgainAndForAnyNumberOfThreads) {
  for (const OpSample& sample : samples()) {
    for (const std::vector<Tensor>& inputs : {sample.inputs, in_f32(sample.inputs)}) {
      const auto run = [&](int threads) {
        const ScopedThreads scope(threads);
        return run_sample(sample, inputs).all();
      };
      const std::vector<Tensor> one = run(1);
      EXPECT_TRUE(same_bits(run(1), one)) << sample.name;
      EXPECT_TRUE(same_bits(run(2), one)) << sample.name;
      EXPECT_TRUE(same_bits(run(3), one)) << sample.name;
    }
  }
}

TEST_P(Op, LeavesItsInputsAlone) {
  for (const OpSample& sample : samples()) {
    std::vector<Tensor> copies;
    std::vector<std::uint64_t> versions;
    for (const Tensor& input : sample.inputs) {
      copies.push_back(input.clone());
      versions.push_back(input.version());
    }
    (void)run_sample(sample, sample.inputs);
    EXPECT_TRUE(same_bits(sample.inputs, copies)) << sample.name;
    for (std::size_t n = 0; n < versions.size(); ++n) {
      EXPECT_EQ(sample.inputs[n].version(), versions[n]) << sample.name << " wrote to input " << n;
    }
  }
}

TEST_P(Op, GivesTheSameValueWithoutRecording) {
  for (const OpSample& sample : samples()) {
    const OpOutcome recorded = run_sample(sample, sample.inputs);
    const NoGrad no_grad;
    std::vector<Variable> leaves;
    for (const Tensor& input : sample.inputs) {
      leaves.emplace_back(input, input.dtype() == DType::f64);
    }
    const Variable y = sample.call(leaves);
    EXPECT_EQ(y.node(), nullptr) << sample.name;
    EXPECT_FALSE(y.requires_grad()) << sample.name;
    EXPECT_TRUE(same_bits(y.value(), recorded.value)) << sample.name;
  }
}

TEST_P(Op, GivesEachInputAGradientOfItsOwn) {
  // With one input at a time wanting a gradient, that gradient has the same bits, and no other is
  // made.
  for (const OpSample& sample : samples()) {
    const OpOutcome together = run_sample(sample, sample.inputs);
    for (std::size_t wanted = 0; wanted < sample.inputs.size(); ++wanted) {
      if (sample.inputs[wanted].dtype() != DType::f64) {
        continue;
      }
      std::vector<Variable> leaves;
      for (std::size_t n = 0; n < sample.inputs.size(); ++n) {
        leaves.emplace_back(sample.inputs[n], n == wanted);
      }
      const Variable y = sample.call(leaves);
      y.backward(cotangent_for(y.value()));
      for (std::size_t n = 0; n < leaves.size(); ++n) {
        EXPECT_TRUE(same_bits(leaves[n].grad(), n == wanted ? together.gradients[n] : Tensor()))
            << sample.name << ", input " << n << " when input " << wanted << " is wanted";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Database, Op, testing::Range(std::size_t{0}, op_database().size()),
                         op_test_name);

TEST(OpDatabase, HoldsEveryOperationOnce) {
  std::set<std::string> names;
  for (const OpEntry& entry : op_database()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " is registered twice";
  }
  for (int op = 0; op < static_cast<int>(kernels::UnaryOp::count); ++op) {
    EXPECT_TRUE(names.contains(kernels::info(static_cast<kernels::UnaryOp>(op)).name)) << op;
  }
  for (int op = 0; op < static_cast<int>(kernels::BinaryOp::count); ++op) {
    EXPECT_TRUE(names.contains(kernels::info(static_cast<kernels::BinaryOp>(op)).name)) << op;
  }
  for (const char* name :
       {"affine", "views", "reductions", "matmul", "linear", "linear_gelu", "softmax", "layer_norm",
        "add_layer_norm", "embedding", "dropout", "cross_entropy", "attention", "linear_attention",
        "rnn", "lstm", "gru"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

}  // namespace
}  // namespace basin::test

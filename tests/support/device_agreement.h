// What runs on another device must be what runs on the CPU, up to rounding. Used with the executor
// in every test run, and with a GPU where there is one.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/opdb.h"
#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/guarded_allocator.h"
#include "tests/support/op_runs.h"
#include "tests/support/small_models.h"

namespace basin::test {

/// Passes if both have the same shape and |actual - expected| <= tolerance (1 + |expected|)
/// everywhere, or both are undefined.
inline testing::AssertionResult near(const Tensor& actual, const Tensor& expected,
                                     double tolerance) {
  if (!actual.defined() || !expected.defined()) {
    return actual.defined() == expected.defined()
               ? testing::AssertionSuccess()
               : testing::AssertionFailure() << describe(actual) << ", not " << describe(expected);
  }
  if (!(actual.shape() == expected.shape())) {
    return testing::AssertionFailure() << describe(actual) << ", not " << describe(expected);
  }
  const std::vector<double> x = actual.to_vector<double>();
  const std::vector<double> y = expected.to_vector<double>();
  for (std::size_t n = 0; n < y.size(); ++n) {
    if (!(std::abs(x[n] - y[n]) <= tolerance * (1 + std::abs(y[n])))) {
      return testing::AssertionFailure() << "element " << n << " is " << x[n] << ", not " << y[n];
    }
  }
  return testing::AssertionSuccess();
}

inline std::vector<Tensor> moved(const std::vector<Tensor>& tensors, Device device) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) {
    result.push_back(tensor.to(device));
  }
  return result;
}

/// Operations without kernels for a GPU: they have to say so.
inline bool is_on_cpu_only(const OpEntry& entry) { return entry.name == "label_evidence"; }

/// Every sample of an operation, forward and backward, in f64 and f32.
inline void operation_agrees(const OpEntry& entry, Device device) {
  if (is_on_cpu_only(entry)) {
    for (const OpSample& sample : samples_of(entry)) {
      EXPECT_TRUE(refuses<Error>([&] { (void)run_sample(sample, moved(sample.inputs, device)); },
                                 {"runs on the CPU only"}))
          << sample.name;
    }
    return;
  }
  const GuardedTensors guarded(device);
  for (const OpSample& sample : samples_of(entry)) {
    for (const bool single : {false, true}) {
      SCOPED_TRACE(entry.name + ": " + sample.name + (single ? ", f32" : ", f64"));
      const std::vector<Tensor> inputs = single ? in_f32(sample.inputs) : sample.inputs;
      const OpOutcome here = run_sample(sample, inputs);
      const OpOutcome there =
          run_sample(sample, moved(inputs, device), cotangent_for(here.value).to(device));
      EXPECT_EQ(there.value.device(), device);
      // Both devices round sums in their own order: a few dozen roundings, twice as many backward.
      EXPECT_TRUE(near(there.value, here.value, single ? 1e-5 : 1e-12));
      for (std::size_t n = 0; n < inputs.size(); ++n) {
        EXPECT_TRUE(near(there.gradients[n], here.gradients[n], single ? 5e-5 : 1e-11))
            << "gradient of input " << n;
        if (there.gradients[n].defined()) {
          EXPECT_EQ(there.gradients[n].device(), device);
        }
      }
    }
  }
}

/// Trains the same small model on both for some steps and compares loss and gradient norm of each
/// step, and the weights at the end.
inline void training_agrees(const nn::BackboneOptions& options, nn::OptimizerOptions optimizer,
                            Device device, double tolerance, bool padded = false) {
  const GuardedTensors guarded(device);
  nn::LanguageModel here(options, 1);
  nn::LanguageModel there(options, 1);
  there.to(device);
  const auto optimizer_here = nn::make_optimizer(here.parameters(), optimizer);
  const auto optimizer_there = nn::make_optimizer(there.parameters(), optimizer);
  constexpr std::int64_t kBatch = 3;
  const std::int64_t length = options.max_length;
  Tensor lengths;
  if (padded) {
    lengths = Tensor::from<std::int64_t>(
        {kBatch}, std::vector<std::int64_t>{length, std::max<std::int64_t>(1, length - 5), 2});
  }
  for (std::uint64_t step = 0; step < 4; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const Tensor tokens = random_tokens(kBatch, length, options.vocabulary, 2 * step);
    Tensor targets = random_tokens(kBatch, length, options.vocabulary, 2 * step + 1);
    targets.select(0, 0).slice(0, 0, 2).fill(-100);  // some do not count
    const auto one_step = [&](nn::LanguageModel& model, nn::Optimizer& by) {
      model.clear_grad();
      const Variable loss = model.loss(tokens, targets, lengths);
      loss.backward(Tensor::full({}, 0.5, loss.dtype(), loss.device()));
      return std::pair(loss.value().item(), by.step(1e-2));
    };
    const auto [loss_here, norm_here] = one_step(here, *optimizer_here);
    const auto [loss_there, norm_there] = one_step(there, *optimizer_there);
    EXPECT_NEAR(loss_there, loss_here, tolerance * (1 + loss_here));
    EXPECT_NEAR(norm_there, norm_here, tolerance * (1 + norm_here));
  }
  const std::vector<Tensor> weights_here = weights_of(here);
  const std::vector<Tensor> weights_there = weights_of(there);
  const std::vector<std::string> names = parameter_names(here);
  for (std::size_t n = 0; n < names.size(); ++n) {
    EXPECT_EQ(weights_there[n].device(), device);
    // A bias of the keys adds the same to all scores of a query, which softmax does not feel. Its
    // gradient is 0, in f32 noise about as large as the eps of Adam, which makes steps of noise.
    const bool is_noise = options.dtype == DType::f32 && names[n].ends_with("key.bias");
    EXPECT_TRUE(near(weights_there[n], weights_here[n], is_noise ? 1e-2 : tolerance)) << names[n];
  }
  // The judgement of an evaluation.
  const Tensor tokens = random_tokens(kBatch, length, options.vocabulary, 77);
  here.train(false);
  there.train(false);
  EXPECT_TRUE(near(there.predict(tokens, tokens, lengths).loss,
                   here.predict(tokens, tokens, lengths).loss, tolerance));
}

/// Ways to set a model up in which every operation of the backbones takes part.
struct ModelCase {
  std::string name;
  nn::BackboneOptions options;
  nn::OptimizerOptions optimizer;
  bool padded = false;
};

inline std::vector<ModelCase> model_cases() {
  std::vector<ModelCase> cases;
  for (const std::string& kind : all_backbones()) {
    const bool is_association = nn::backbone_kind(kind).is_association;
    for (const DType dtype : {DType::f32, DType::f64}) {
      ModelCase plain{kind + (dtype == DType::f32 ? "-f32" : "-f64"),
                      small_backbone(kind, dtype),
                      {},
                      is_association};
      cases.push_back(plain);
    }
    ModelCase other{kind + "-otherwise", small_backbone(kind), {}, false};
    other.options.dropout = 0.2;
    other.options.recompute = true;
    other.options.positions =
        is_association ? nn::PositionKind::rotary : nn::PositionKind::sinusoidal;
    other.optimizer.kind = nn::OptimizerKind::sgd;
    cases.push_back(other);
  }
  return cases;
}

inline std::string model_case_name(const testing::TestParamInfo<ModelCase>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

inline void model_agrees(const ModelCase& model, Device device) {
  // f32: a step of Adam divides by the root of a running mean and so spreads rounding noise of
  // gradients near zero; 4 steps of 1e-2 leave 1e-3 of a weight at most.
  training_agrees(model.options, model.optimizer, device,
                  model.options.dtype == DType::f64 ? 1e-9 : 2e-3, model.padded);
}

}  // namespace basin::test

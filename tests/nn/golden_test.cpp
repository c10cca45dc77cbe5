// Trajectories computed by an independent program: the optimizer on a small function, and ten
// training steps of a two-layer language model with each kind of memory. See
// tests/golden/README.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "nn/language_model.h"
#include "nn/optim/optimizer.h"
#include "tensor/io/hdf5.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::largest_difference;

const Hdf5Reader& golden() {
  static const Hdf5Reader file(BASIN_SOURCE_DIR "/tests/golden/reference.h5");
  return file;
}

// Follows the optimizer on 1/2 p^T A p + sum of c sin p, from the first row of the trajectory on.
void follow(const std::string& group, OptimizerOptions options) {
  const Variable a(golden().read(group + "/A"));
  const Variable c(golden().read(group + "/c"));
  const Tensor trajectory = golden().read(group + "/trajectory");
  options.clip_norm = 0.0;
  const double lr = golden().number(group, "lr");
  Variable p(trajectory.select(0, 0).clone(), true);
  const auto optimizer = make_optimizer({{"p", p}}, options);
  ASSERT_EQ(trajectory.size(0), 21);
  for (std::int64_t t = 1; t < 21; ++t) {
    p.clear_grad();
    const Variable column = reshape(p, {6, 1});
    const Variable quadratic = affine(sum(mul(column, matmul(a, column))), 0.5, 0.0);
    add(quadratic, sum(mul(c, sin(p)))).backward();
    optimizer->step(lr);
    EXPECT_TRUE(largest_difference(p.value(), trajectory.select(0, t)) <= 1e-9) << "step " << t;
  }
}

TEST(Golden, AdamTrajectories) {
  for (const char* name : {"adam", "adamw"}) {
    const std::string group = std::string("/optim/") + name;
    OptimizerOptions options;
    ASSERT_TRUE(parse(name, options.kind));
    options.beta1 = golden().number(group, "beta1");
    options.beta2 = golden().number(group, "beta2");
    options.eps = golden().number(group, "eps");
    options.weight_decay =
        options.kind == OptimizerKind::adamw ? golden().number(group, "decoupled_decay") : 0.0;
    follow(group, options);
  }
}

TEST(Golden, SgdTrajectory) {
  const std::string group = "/optim/sgd_momentum";
  OptimizerOptions options;
  options.kind = OptimizerKind::sgd;
  options.momentum = golden().number(group, "momentum");
  options.nesterov = golden().integer(group, "nesterov") != 0;
  options.weight_decay = golden().number(group, "l2_decay");
  follow(group, options);
}

struct Mixer {
  std::string group;  // in the file
  std::string kind;   // the backbone it is
};

class GoldenTraining : public testing::TestWithParam<Mixer> {
 protected:
  std::string group() const { return "/training/" + GetParam().group; }

  // Everything the file says about the model, so that another file would be noticed.
  BackboneOptions options(DType dtype) const {
    BackboneOptions o;
    o.kind = GetParam().kind;
    o.width = golden().integer(group(), "width");
    o.layers = golden().integer(group(), "layers");
    o.heads = golden().integer(group(), "heads");
    o.causal = golden().integer(group(), "causal") != 0;
    o.vocabulary = golden().info(group() + "/init/tokens.weight").shape[0];
    o.max_length = golden().info(group() + "/init/positions.weight").shape[0];
    o.mlp_ratio = golden().info(group() + "/init/blocks.0.up.weight").shape[0] / o.width;
    o.dtype = dtype;
    return o;
  }

  struct Outcome {
    double losses = 0;      // largest difference
    double norms = 0;       // largest relative difference
    double weights = 0;     // largest difference but for key biases
    double key_biases = 0;  // largest difference of blocks.*.mix.key.bias
    std::string worst_weight;
  };

  Outcome train(DType dtype) const {
    LanguageModel model(options(dtype), 1);
    std::vector<std::string> names = test::parameter_names(model);
    for (const std::string& name : names) {
      test::parameter(model, name)
          .mutable_value()
          .copy_from(golden().read(group() + "/init/" + name));
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(golden().members(group() + "/init"), names);

    OptimizerOptions adamw;  // as the attribute "optimizer" of the group says
    adamw.beta1 = 0.9;
    adamw.beta2 = 0.95;
    adamw.eps = 1e-8;
    adamw.weight_decay = 0.1;
    adamw.clip_norm = 1.0;
    AdamW optimizer(model.parameters(), adamw);
    const Tensor tokens = golden().read(group() + "/tokens");
    const std::vector<double> losses = golden().read(group() + "/losses").to_vector<double>();
    const std::vector<double> norms = golden().read(group() + "/grad_norms").to_vector<double>();
    EXPECT_EQ(tokens.shape(), (Shape{10, 3, 13}));
    Outcome outcome;
    for (std::int64_t t = 0; t < tokens.size(0); ++t) {
      const Tensor batch = tokens.select(0, t).to(DType::i64);
      model.clear_grad();
      const Variable loss =
          model.loss(batch.slice(1, 0, 12).contiguous(), batch.slice(1, 1, 13).contiguous());
      loss.backward();
      const double norm = optimizer.step(1e-2);
      const auto n = static_cast<std::size_t>(t);
      outcome.losses = std::max(outcome.losses, std::abs(loss.value().item() - losses[n]));
      outcome.norms = std::max(outcome.norms, std::abs(norm / norms[n] - 1));
    }
    for (const std::string& name : names) {
      const double error = largest_difference(test::parameter(model, name).value(),
                                              golden().read(group() + "/final/" + name));
      if (name.find("mix.key.bias") != std::string::npos) {
        outcome.key_biases = std::max(outcome.key_biases, error);
      } else if (!(error <= outcome.weights)) {
        outcome.weights = error;
        outcome.worst_weight = name;
      }
    }
    return outcome;
  }
};
INSTANTIATE_TEST_SUITE_P(Golden, GoldenTraining,
                         testing::Values(Mixer{"softmax", "attention"},
                                         Mixer{"hopfield", "hopfield"},
                                         Mixer{"linear", "linear-attention"}, Mixer{"rnn", "rnn"}),
                         [](const auto& mixer) { return mixer.param.group; });

TEST_P(GoldenTraining, InDoubleToNineDigits) {
  const Outcome outcome = train(DType::f64);
  EXPECT_TRUE(outcome.losses <= 1e-9) << outcome.losses;
  EXPECT_TRUE(outcome.norms <= 1e-9) << outcome.norms;
  EXPECT_TRUE(outcome.weights <= 1e-9) << outcome.weights << " in " << outcome.worst_weight;
  // In a softmax the key bias shifts all scores of a query alike: its true gradient is zero and the
  // optimizer normalises what rounding leaves of it. Linear attention has no such freedom.
  const bool rounding_noise = GetParam().group == "softmax" || GetParam().group == "hopfield";
  EXPECT_TRUE(outcome.key_biases <= (rounding_noise ? 5e-3 : 1e-9)) << outcome.key_biases;
}

TEST_P(GoldenTraining, InSinglePrecision) {
  const Outcome outcome = train(DType::f32);
  // Ten steps at a rate of 1e-2: what f32 rounding does to the gradients, about 1e-6 of them, moves
  // weights and losses by about 1e-4 at most.
  EXPECT_TRUE(outcome.losses <= 1e-4) << outcome.losses;
  EXPECT_TRUE(outcome.norms <= 1e-3) << outcome.norms;
  EXPECT_TRUE(outcome.weights <= 1e-4) << outcome.weights << " in " << outcome.worst_weight;
  EXPECT_TRUE(outcome.key_biases <= 5e-3) << outcome.key_biases;
}

}  // namespace
}  // namespace basin::nn

// Elementwise functions, layer norm, losses and recurrent layers against the reference vectors.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "tests/support/golden.h"

namespace basin::test {
namespace {

const auto kDTypes = testing::Values(DType::f64, DType::f32);

class GoldenElementwise : public GoldenTest {};

TEST_P(GoldenElementwise, OutputAndGradient) {
  const std::map<std::string, std::function<Variable(const Variable&)>> functions = {
      {"elu", [](const Variable& x) { return elu(x); }},
      {"gelu_erf", [](const Variable& x) { return gelu(x); }},
      {"gelu_tanh", [](const Variable& x) { return gelu_tanh(x); }},
      {"sigmoid", [](const Variable& x) { return sigmoid(x); }},
      {"silu", [](const Variable& x) { return silu(x); }},
      {"softplus", [](const Variable& x) { return softplus(x); }},
      {"tanh", [](const Variable& x) { return tanh(x); }}};
  const GoldenGroup g = golden();
  const Variable x = g.variable("x");
  const Variable y = functions.at(group().substr(group().rfind('/') + 1))(x);
  EXPECT_TRUE(g.agrees(y.value(), "out"));
  y.backward(g.tensor("dout"));
  EXPECT_TRUE(g.agrees(x.grad(), "dx"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenElementwise,
                         testing::Combine(testing::Values("/layers/elu", "/layers/gelu_erf",
                                                          "/layers/gelu_tanh", "/layers/sigmoid",
                                                          "/layers/silu", "/layers/softplus",
                                                          "/layers/tanh"),
                                          kDTypes),
                         golden_test_name);

class GoldenLayerNorm : public GoldenTest {};

TEST_P(GoldenLayerNorm, OutputAndGradients) {
  const GoldenGroup g = golden();
  const Variable x = g.variable("x");
  const Variable weight = g.variable("weight");
  const Variable bias = g.variable("bias");
  const Variable y = layer_norm(x, weight, bias, g.number("eps"));
  EXPECT_TRUE(g.agrees(y.value(), "out"));
  y.backward(g.tensor("dout"));
  EXPECT_TRUE(g.agrees(x.grad(), "dx"));
  EXPECT_TRUE(g.agrees(weight.grad(), "dweight"));
  EXPECT_TRUE(g.agrees(bias.grad(), "dbias"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenLayerNorm,
                         testing::Combine(testing::Values("/layers/layer_norm"), kDTypes),
                         golden_test_name);

class GoldenCrossEntropy : public GoldenTest {};

TEST_P(GoldenCrossEntropy, LossAndGradient) {
  const GoldenGroup g = golden();
  const Variable logits = g.variable("logits");
  const Variable loss =
      cross_entropy(logits, g.tensor("target"), static_cast<std::int64_t>(g.number("ignore_index")),
                    g.number("label_smoothing"));
  EXPECT_TRUE(g.agrees(loss.value(), "loss"));
  loss.backward();
  EXPECT_TRUE(g.agrees(logits.grad(), "dlogits"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenCrossEntropy,
                         testing::Combine(testing::Values("/layers/cross_entropy_smooth0.0",
                                                          "/layers/cross_entropy_smooth0.1"),
                                          kDTypes),
                         golden_test_name);

class GoldenBinaryCrossEntropy : public GoldenTest {};

TEST_P(GoldenBinaryCrossEntropy, LossAndGradient) {
  const GoldenGroup g = golden();
  const Variable logits = g.variable("logits");
  const Variable loss = binary_cross_entropy(logits, g.tensor("target"));
  EXPECT_TRUE(g.agrees(loss.value(), "loss"));
  loss.backward();
  EXPECT_TRUE(g.agrees(logits.grad(), "dlogits"));
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenBinaryCrossEntropy,
                         testing::Combine(testing::Values("/layers/bce_with_logits"), kDTypes),
                         golden_test_name);

class GoldenRecurrent : public GoldenTest {
 protected:
  // One layer: the input part of all times in one product, then the recurrence.
  Variable layer(const Variable& x, const std::map<std::string, Variable>& w,
                 const std::string& l) const {
    const std::string kind = group().substr(group().rfind('/') + 1);
    const Variable input = linear(x, w.at("weight_ih" + l), w.at("bias_ih" + l));
    const Variable& weight = w.at("weight_hh" + l);
    const Variable& bias = w.at("bias_hh" + l);
    if (kind == "gru") {
      return gru(input, weight, bias);
    }
    const Variable both = add(input, bias);
    if (kind == "lstm") {
      return lstm(both, weight);
    }
    return rnn(both, weight,
               kind == "rnn_relu" ? kernels::Nonlinearity::relu : kernels::Nonlinearity::tanh);
  }
};

TEST_P(GoldenRecurrent, StatesAndGradients) {
  const GoldenGroup g = golden();
  ASSERT_EQ(g.number("layers"), 2);
  ASSERT_EQ(g.number("batch_first"), 1);
  const Variable x = g.variable("x");
  std::map<std::string, Variable> weights;
  std::vector<Variable> states = {x};
  for (const std::string l : {"_l0", "_l1"}) {
    for (const std::string name : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
      weights[name + l] = g.variable(name + l);
    }
    states.push_back(layer(states.back(), weights, l));
  }
  EXPECT_TRUE(g.agrees(states.back().value(), "out"));
  const std::int64_t last = x.size(1) - 1;
  const Tensor h0 = states[1].value().select(1, last).unsqueeze(0);
  const Tensor h1 = states[2].value().select(1, last).unsqueeze(0);
  EXPECT_TRUE(g.agrees(concat({Variable(h0), Variable(h1)}, 0).value(), "h_last"));
  states.back().backward(g.tensor("dout"));
  EXPECT_TRUE(g.agrees(x.grad(), "dx"));
  for (const auto& [name, weight] : weights) {
    EXPECT_TRUE(g.agrees(weight.grad(), "d_" + name));
  }
}

INSTANTIATE_TEST_SUITE_P(Groups, GoldenRecurrent,
                         testing::Combine(testing::ValuesIn(golden_groups("/recurrent")), kDTypes),
                         golden_test_name);

// A group that got lost would take its tests with it.
TEST(GoldenFile, HoldsTheLayersAndRecurrentGroups) {
  EXPECT_EQ(golden_groups("/layers").size(), 11u);
  EXPECT_EQ(golden_groups("/recurrent").size(), 4u);
}

}  // namespace
}  // namespace basin::test

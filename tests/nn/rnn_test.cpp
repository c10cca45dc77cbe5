#include "nn/layers/rnn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/module_gradcheck.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using kernels::Nonlinearity;
using test::gradients_agree;
using test::largest_difference;
using test::parameter;
using test::random_tensor;
using test::refuses;
using test::same_bits;

std::vector<double> weights(const Rnn& layer, const std::string& name) {
  return parameter(layer, name).value().to_vector<double>();
}

// The definition in loops: layer by layer, time by time.
Tensor naive(const Rnn& layer, const Tensor& x, std::int64_t width, int layers, Nonlinearity f) {
  const std::int64_t batch = x.size(0);
  const std::int64_t length = x.size(1);
  std::vector<double> input = x.to_vector<double>();
  std::int64_t in = x.size(2);
  for (int l = 0; l < layers; ++l) {
    const std::string suffix = "_l" + std::to_string(l);
    const std::vector<double> w_ih = weights(layer, "weight_ih" + suffix);
    const std::vector<double> w_hh = weights(layer, "weight_hh" + suffix);
    const std::vector<double> b_ih = weights(layer, "bias_ih" + suffix);
    const std::vector<double> b_hh = weights(layer, "bias_hh" + suffix);
    std::vector<double> output(static_cast<std::size_t>(batch * length * width));
    for (std::int64_t b = 0; b < batch; ++b) {
      std::vector<double> h(static_cast<std::size_t>(width), 0.0);
      for (std::int64_t t = 0; t < length; ++t) {
        std::vector<double> next(h.size());
        for (std::size_t u = 0; u < h.size(); ++u) {
          double s = b_ih[u] + b_hh[u];
          for (std::size_t c = 0; c < static_cast<std::size_t>(in); ++c) {
            s += w_ih[u * static_cast<std::size_t>(in) + c] *
                 input[static_cast<std::size_t>((b * length + t) * in) + c];
          }
          for (std::size_t c = 0; c < h.size(); ++c) {
            s += w_hh[u * h.size() + c] * h[c];
          }
          next[u] = f == Nonlinearity::tanh ? std::tanh(s) : std::max(s, 0.0);
        }
        h = next;
        std::copy(h.begin(), h.end(), output.begin() + (b * length + t) * width);
      }
    }
    input = output;
    in = width;
  }
  return Tensor::from<double>({batch, length, width}, input);
}

TEST(Rnn, FollowsItsDefinition) {
  for (const Nonlinearity f : {Nonlinearity::tanh, Nonlinearity::relu}) {
    for (const int layers : {1, 2}) {
      Rng rng(1);
      const Rnn layer(3, 4, layers, f, rng, DType::f64);
      const Tensor x = random_tensor({2, 7, 3}, 2);
      // Sums of ten terms, seven times over: a few hundred units of 2^-53.
      EXPECT_TRUE(largest_difference(layer.forward(Variable(x)).value(),
                                     naive(layer, x, 4, layers, f)) <= 1e-13)
          << layers;
    }
  }
}

TEST(Rnn, TheNonlinearityChangesTheOutput) {
  Rng first(1);
  Rng second(1);
  const Rnn tanh(3, 4, 1, Nonlinearity::tanh, first, DType::f64);
  const Rnn relu(3, 4, 1, Nonlinearity::relu, second, DType::f64);
  const Variable x(random_tensor({2, 7, 3}, 2));
  EXPECT_TRUE(largest_difference(tanh.forward(x).value(), relu.forward(x).value()) >= 1e-2);
}

TEST(Rnn, NamesShapesAndStartOfItsParameters) {
  Rng rng(2);
  const Rnn layer(3, 64, 2, Nonlinearity::tanh, rng, DType::f32);
  EXPECT_EQ(test::parameter_names(layer),
            (std::vector<std::string>{"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
                                      "weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1"}));
  EXPECT_EQ(parameter(layer, "weight_ih_l0").shape(), (Shape{64, 3}));
  EXPECT_EQ(parameter(layer, "weight_hh_l0").shape(), (Shape{64, 64}));
  EXPECT_EQ(parameter(layer, "weight_ih_l1").shape(), (Shape{64, 64}));
  EXPECT_EQ(parameter(layer, "bias_hh_l1").shape(), (Shape{64}));
  for (const Parameter& p : layer.parameters()) {
    const std::vector<double> x = p.variable.value().to_vector<double>();
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    // Uniform in +-1/8; 64 numbers or more come within a fifth of both ends.
    EXPECT_TRUE(*low >= -0.125 && *low <= -0.1 && *high <= 0.125 && *high >= 0.1) << p.name;
  }
}

TEST(Rnn, Gradients) {
  Rng rng(3);
  for (const int layers : {1, 2}) {
    Rnn layer(3, 4, layers, Nonlinearity::tanh, rng, DType::f64);
    EXPECT_TRUE(gradients_agree(
        layer, [&](const std::vector<Variable>& in) { return layer.forward(in[0]); },
        {random_tensor({2, 5, 3}, 4)}));
  }
}

TEST(Rnn, NeitherLaterTimesNorOtherSamplesReachAState) {
  Rng rng(5);
  const Rnn layer(3, 16, 2, Nonlinearity::tanh, rng, DType::f32);
  const Tensor x = random_tensor({3, 6, 3}, 6, DType::f32);
  const Tensor before = layer.forward(Variable(x)).value();
  Tensor later = x.clone();
  later.slice(1, 4, 6).fill(1e30);
  EXPECT_TRUE(
      same_bits(layer.forward(Variable(later)).value().slice(1, 0, 4), before.slice(1, 0, 4)));
  Tensor other = x.clone();
  other.select(0, 1).fill(1e30);
  const Tensor after = layer.forward(Variable(other)).value();
  EXPECT_TRUE(same_bits(after.select(0, 0), before.select(0, 0)));
  EXPECT_TRUE(same_bits(after.select(0, 2), before.select(0, 2)));
  EXPECT_FALSE(same_bits(after.select(0, 1), before.select(0, 1)));
}

TEST(Rnn, Errors) {
  Rng rng(7);
  const auto make = [&](std::int64_t in, std::int64_t width, std::int64_t layers) {
    return
        [&rng, in, width, layers] { Rnn(in, width, layers, Nonlinearity::tanh, rng, DType::f32); };
  };
  EXPECT_TRUE(refuses<Error>(make(0, 4, 1), {"[Rnn]", "in 0"}));
  EXPECT_TRUE(refuses<Error>(make(3, 0, 1), {"[Rnn]", "width 0"}));
  EXPECT_TRUE(refuses<Error>(make(3, 4, 0), {"[Rnn]", "layers 0"}));
  const Rnn layer(3, 4, 1, Nonlinearity::tanh, rng, DType::f64);
  EXPECT_TRUE(refuses<Error>(
      [&] {
        layer.forward(Variable(random_tensor({2, 5, 4}, 1)));
      },
      {"(2, 5, 4)"}));
}

}  // namespace
}  // namespace basin::nn

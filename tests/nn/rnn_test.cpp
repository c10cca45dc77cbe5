// The recurrent layers: Elman networks with both nonlinearities, LSTM and GRU.
#include "nn/layers/rnn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
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

std::unique_ptr<RecurrentStack> make(const std::string& cell, std::int64_t in, std::int64_t width,
                                     std::int64_t layers, Rng&& rng, DType dtype = DType::f64) {
  if (cell == "lstm") {
    return std::make_unique<Lstm>(in, width, layers, rng, dtype);
  }
  if (cell == "gru") {
    return std::make_unique<Gru>(in, width, layers, rng, dtype);
  }
  return std::make_unique<Rnn>(
      in, width, layers, cell == "tanh" ? Nonlinearity::tanh : Nonlinearity::relu, rng, dtype);
}

std::int64_t gates_of(const std::string& cell) {
  return cell == "lstm" ? 4 : cell == "gru" ? 3 : 1;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// One step of one unit from the products a_g = W_ih x + b_ih and r_g = W_hh h + b_hh of its gates;
// c is the memory cell.
double step(const std::string& cell, const std::vector<double>& a, const std::vector<double>& r,
            double h, double& c) {
  if (cell == "lstm") {
    c = sigmoid(a[1] + r[1]) * c + sigmoid(a[0] + r[0]) * std::tanh(a[2] + r[2]);
    return sigmoid(a[3] + r[3]) * std::tanh(c);
  }
  if (cell == "gru") {
    const double z = sigmoid(a[1] + r[1]);
    const double n = std::tanh(a[2] + sigmoid(a[0] + r[0]) * r[2]);
    return (1 - z) * n + z * h;
  }
  const double s = a[0] + r[0];
  return cell == "tanh" ? std::tanh(s) : std::max(s, 0.0);
}

// The definition in loops: layer by layer, time by time, unit by unit.
Tensor naive(const std::string& cell, const Module& layer, const Tensor& x, std::size_t width,
             int layers) {
  const auto batch = static_cast<std::size_t>(x.size(0));
  const auto length = static_cast<std::size_t>(x.size(1));
  const auto gates = static_cast<std::size_t>(gates_of(cell));
  std::vector<double> input = x.to_vector<double>();
  auto in = static_cast<std::size_t>(x.size(2));
  for (int l = 0; l < layers; ++l) {
    const auto weights = [&](const char* name) {
      return parameter(layer, name + ("_l" + std::to_string(l))).value().to_vector<double>();
    };
    const std::vector<double> w_ih = weights("weight_ih");
    const std::vector<double> w_hh = weights("weight_hh");
    const std::vector<double> b_ih = weights("bias_ih");
    const std::vector<double> b_hh = weights("bias_hh");
    std::vector<double> output;
    for (std::size_t b = 0; b < batch; ++b) {
      std::vector<double> h(width, 0.0);
      std::vector<double> c(width, 0.0);
      for (std::size_t t = 0; t < length; ++t) {
        std::vector<double> next(width);
        for (std::size_t u = 0; u < width; ++u) {
          std::vector<double> a(gates);
          std::vector<double> r(gates);
          for (std::size_t g = 0; g < gates; ++g) {
            const std::size_t row = g * width + u;
            a[g] = b_ih[row];
            r[g] = b_hh[row];
            for (std::size_t n = 0; n < in; ++n) {
              a[g] += w_ih[row * in + n] * input[(b * length + t) * in + n];
            }
            for (std::size_t n = 0; n < width; ++n) {
              r[g] += w_hh[row * width + n] * h[n];
            }
          }
          next[u] = step(cell, a, r, h[u], c[u]);
        }
        h = next;
        output.insert(output.end(), h.begin(), h.end());
      }
    }
    input = output;
    in = width;
  }
  return Tensor::from<double>({x.size(0), x.size(1), static_cast<std::int64_t>(width)}, input);
}

class EveryRecurrence : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Recurrent, EveryRecurrence, testing::Values("tanh", "relu", "lstm", "gru"),
                         test::test_name);

TEST_P(EveryRecurrence, FollowsItsDefinition) {
  for (const int layers : {1, 2}) {
    const auto layer = make(GetParam(), 3, 4, layers, Rng(1));
    const Tensor x = random_tensor({2, 7, 3}, 2);
    // Sums of ten terms, seven times over: a few hundred units of 2^-53.
    EXPECT_TRUE(largest_difference(layer->forward(Variable(x)).value(),
                                   naive(GetParam(), *layer, x, 4, layers)) <= 1e-13)
        << layers;
  }
}

TEST_P(EveryRecurrence, Gradients) {
  for (const int layers : {1, 2}) {
    const auto layer = make(GetParam(), 3, 4, layers, Rng(3));
    EXPECT_TRUE(gradients_agree(
        *layer, [&](const std::vector<Variable>& in) { return layer->forward(in[0]); },
        {random_tensor({2, 5, 3}, 4)}));
  }
}

TEST_P(EveryRecurrence, NamesShapesAndStartOfItsParameters) {
  const std::int64_t rows = gates_of(GetParam()) * 64;
  const auto layer = make(GetParam(), 3, 64, 2, Rng(2), DType::f32);
  EXPECT_EQ(test::parameter_names(*layer),
            (std::vector<std::string>{"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
                                      "weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1"}));
  EXPECT_EQ(parameter(*layer, "weight_ih_l0").shape(), (Shape{rows, 3}));
  EXPECT_EQ(parameter(*layer, "weight_hh_l0").shape(), (Shape{rows, 64}));
  EXPECT_EQ(parameter(*layer, "weight_ih_l1").shape(), (Shape{rows, 64}));
  EXPECT_EQ(parameter(*layer, "bias_hh_l1").shape(), (Shape{rows}));
  for (const Parameter& p : layer->parameters()) {
    const std::vector<double> x = p.variable.value().to_vector<double>();
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    // Uniform in +-1/8; 64 numbers or more come within a fifth of both ends.
    EXPECT_TRUE(*low >= -0.125 && *low <= -0.1 && *high <= 0.125 && *high >= 0.1) << p.name;
  }
}

TEST_P(EveryRecurrence, NeitherLaterTimesNorOtherSamplesReachAState) {
  const auto layer = make(GetParam(), 3, 16, 2, Rng(5), DType::f32);
  const Tensor x = random_tensor({3, 6, 3}, 6, DType::f32);
  const auto states = [&](const Tensor& input) { return layer->forward(Variable(input)).value(); };
  const Tensor before = states(x);
  for (const double value : {1e30, std::nan("")}) {
    Tensor later = x.clone();
    later.slice(1, 4, 6).fill(value);
    EXPECT_TRUE(same_bits(states(later).slice(1, 0, 4), before.slice(1, 0, 4)));
    EXPECT_FALSE(same_bits(states(later).slice(1, 4, 6), before.slice(1, 4, 6)));
    Tensor other = x.clone();
    other.select(0, 1).fill(value);
    const Tensor after = states(other);
    EXPECT_TRUE(same_bits(after.select(0, 0), before.select(0, 0)));
    EXPECT_TRUE(same_bits(after.select(0, 2), before.select(0, 2)));
    EXPECT_FALSE(same_bits(after.select(0, 1), before.select(0, 1)));
  }
}

TEST_P(EveryRecurrence, Errors) {
  const auto attempt = [](std::int64_t in, std::int64_t width, std::int64_t layers) {
    return [in, width, layers] { make(GetParam(), in, width, layers, Rng(7)); };
  };
  EXPECT_TRUE(refuses<Error>(attempt(0, 4, 1), {"in 0"}));
  EXPECT_TRUE(refuses<Error>(attempt(3, 0, 1), {"width 0"}));
  EXPECT_TRUE(refuses<Error>(attempt(3, 4, 0), {"layers 0"}));
  const auto layer = make(GetParam(), 3, 4, 1, Rng(7));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        layer->forward(Variable(random_tensor({2, 5, 4}, 1)));
      },
      {"(2, 5, 4)"}));
}

TEST_P(EveryRecurrence, ByCudnnNeedsAGpuAndSaysSo) {
  const auto layer = make(GetParam(), 3, 4, 1, Rng(7), DType::f32);
  const Variable x(random_tensor({2, 5, 3}, 1, DType::f32));
  const Tensor before = layer->forward(x).value();
  layer->compute_by(Recurrence::cudnn);
  EXPECT_TRUE(
      refuses<Error>([&] { layer->forward(x); },
                     {"[recurrent_layer] cuDNN computes on a GPU", "(2, 5, 3) f32 on cpu"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        layer->forward(Variable(random_tensor({2, 5, 4}, 1, DType::f32)));
      },
      {"needs x (B, L, in)", "(2, 5, 4) f32"}));
  layer->compute_by(Recurrence::own);
  EXPECT_TRUE(same_bits(layer->forward(x).value(), before));
}

TEST(Recurrent, EveryCellGivesAnotherOutput) {
  const Variable x(random_tensor({2, 7, 3}, 2));
  const std::vector<std::string> cells = {"tanh", "relu", "lstm", "gru"};
  for (std::size_t a = 0; a < cells.size(); ++a) {
    for (std::size_t b = a + 1; b < cells.size(); ++b) {
      EXPECT_TRUE(largest_difference(make(cells[a], 3, 4, 1, Rng(1))->forward(x).value(),
                                     make(cells[b], 3, 4, 1, Rng(1))->forward(x).value()) >= 1e-2)
          << cells[a] << " " << cells[b];
    }
  }
}

}  // namespace
}  // namespace basin::nn

// Linear, Embedding, LayerNorm, Dropout and Mlp.
#include "nn/layers/basic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/operations.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/module_gradcheck.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::gradients_agree;
using test::largest_difference;
using test::parameter;
using test::parameter_names;
using test::random_tensor;
using test::refuses;
using test::same_bits;

// All elements lie in [-bound, bound), and enough of them near both ends and on both sides to tell
// the uniform distribution from a narrower or a shifted one.
void expect_uniform(const Tensor& tensor, double bound) {
  const std::vector<double> x = tensor.to_vector<double>();
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  EXPECT_GE(*low, -bound);
  EXPECT_LE(*high, bound);
  EXPECT_LT(*low, -0.9 * bound);
  EXPECT_GT(*high, 0.9 * bound);
  double mean = 0;
  for (const double value : x) {
    mean += value / static_cast<double>(x.size());
  }
  // The deviation of the mean is bound / sqrt(3 n): five of them.
  EXPECT_TRUE(std::abs(mean) <= 5 * bound / std::sqrt(3.0 * static_cast<double>(x.size()))) << mean;
}

TEST(Linear, IsXTimesTransposedWeightPlusBias) {
  Rng rng(1);
  const Linear layer(3, 2, rng, DType::f64);
  EXPECT_EQ(parameter_names(layer), (std::vector<std::string>{"weight", "bias"}));
  const std::vector<double> w = parameter(layer, "weight").value().to_vector<double>();
  const std::vector<double> b = parameter(layer, "bias").value().to_vector<double>();
  const Tensor x = random_tensor({2, 2, 3}, 2);
  const std::vector<double> xs = x.to_vector<double>();
  std::vector<double> expected;
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t out = 0; out < 2; ++out) {
      double y = b[out];
      for (std::size_t in = 0; in < 3; ++in) {
        y += xs[row * 3 + in] * w[out * 3 + in];
      }
      expected.push_back(y);
    }
  }
  const Tensor y = layer.forward(Variable(x)).value();
  // Sums of four terms of size 1 in another order: a few units of 2^-52.
  EXPECT_TRUE(largest_difference(y, Tensor::from<double>({2, 2, 2}, expected)) <= 1e-14);
}

TEST(Linear, StartsUniformWithinOneOverTheRootOfItsInputs) {
  Rng rng(3);
  const Linear layer(64, 500, rng, DType::f32);
  EXPECT_EQ(parameter(layer, "weight").shape(), (Shape{500, 64}));
  EXPECT_EQ(parameter(layer, "bias").shape(), (Shape{500}));
  EXPECT_EQ(parameter(layer, "weight").dtype(), DType::f32);
  expect_uniform(parameter(layer, "weight").value(), 0.125);
  expect_uniform(parameter(layer, "bias").value(), 0.125);
}

TEST(Linear, DrawsItsWeightsFromTheGeneratorAlone) {
  Rng first(4);
  Rng second(4);
  const Linear a(5, 7, first, DType::f32);
  const Linear b(5, 7, second, DType::f32);
  const Linear c(5, 7, second, DType::f32);
  EXPECT_TRUE(same_bits(test::weights_of(a), test::weights_of(b)));
  EXPECT_FALSE(same_bits(test::weights_of(b), test::weights_of(c)));
}

TEST(Linear, HasNoBiasIfToldSo) {
  Rng rng(5);
  const Linear layer(3, 2, rng, DType::f64, false);
  EXPECT_EQ(parameter_names(layer), std::vector<std::string>{"weight"});
  const Variable zero(Tensor::zeros({4, 3}, DType::f64));
  EXPECT_TRUE(same_bits(layer.forward(zero).value(), Tensor::zeros({4, 2}, DType::f64)));
}

TEST(Linear, Gradients) {
  Rng rng(6);
  for (const bool with_bias : {true, false}) {
    Linear layer(4, 3, rng, DType::f64, with_bias);
    EXPECT_TRUE(gradients_agree(
        layer, [&](const std::vector<Variable>& in) { return layer.forward(in[0]); },
        {random_tensor({2, 3, 4}, 7)}));
  }
}

TEST(Linear, Errors) {
  Rng rng(8);
  EXPECT_TRUE(refuses<Error>([&] { Linear(0, 2, rng, DType::f32); }, {"[Linear]", "0 and 2"}));
  EXPECT_TRUE(refuses<Error>([&] { Linear(2, -1, rng, DType::f32); }, {"[Linear]", "2 and -1"}));
  const Linear layer(3, 2, rng, DType::f64);
  EXPECT_TRUE(refuses<Error>(
      [&] {
        layer.forward(Variable(random_tensor({2, 4}, 1)));
      },
      {"(2, 4)", "(2, 3)"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        layer.forward(Variable(random_tensor({2, 3}, 1, DType::f32)));
      },
      {"f32", "f64"}));
}

TEST(Embedding, LooksUpRows) {
  Rng rng(1);
  const Embedding layer(5, 3, rng, DType::f64);
  const Tensor ids = Tensor::from<std::int64_t>({2, 2}, std::vector<std::int64_t>{4, 0, 0, 2});
  const Tensor y = layer.forward(ids).value();
  ASSERT_EQ(y.shape(), (Shape{2, 2, 3}));
  const Tensor table = parameter(layer, "weight").value();
  EXPECT_TRUE(layer.weight().same_as(parameter(layer, "weight")));
  const std::vector<std::int64_t> flat = ids.to_vector<std::int64_t>();
  for (std::int64_t n = 0; n < 4; ++n) {
    EXPECT_TRUE(
        same_bits(y.view({4, 3}).select(0, n), table.select(0, flat[static_cast<std::size_t>(n)])));
  }
}

TEST(Embedding, StartsNormalWithTheGivenDeviation) {
  for (const double deviation : {0.02, 0.5}) {
    Rng rng(2);
    const Embedding layer(200, 100, rng, DType::f32, deviation);
    double sum = 0;
    double squares = 0;
    double fourth = 0;
    const std::vector<double> x = parameter(layer, "weight").value().to_vector<double>();
    for (const double value : x) {
      sum += value;
      squares += value * value;
      fourth += value * value * value * value;
    }
    const double n = static_cast<double>(x.size());
    const double variance = squares / n;
    // Five deviations of each estimate: mean 1/sqrt(n), variance sqrt(2/n), kurtosis sqrt(24/n).
    EXPECT_TRUE(std::abs(sum / n) <= 5 * deviation / std::sqrt(n)) << sum / n;
    EXPECT_TRUE(std::abs(variance / (deviation * deviation) - 1) <= 5 * std::sqrt(2 / n))
        << variance;
    EXPECT_TRUE(std::abs(fourth / n / (variance * variance) - 3) <= 5 * std::sqrt(24 / n));
  }
}

TEST(Embedding, GradientsOfRepeatedIdsAddUp) {
  Rng rng(3);
  Embedding layer(5, 3, rng, DType::f64);
  const Tensor ids =
      Tensor::from<std::int64_t>({2, 3}, std::vector<std::int64_t>{4, 0, 4, 4, 2, 1});
  EXPECT_TRUE(
      gradients_agree(layer, [&](const std::vector<Variable>&) { return layer.forward(ids); }, {}));
  // Row 3 was never looked up.
  EXPECT_TRUE(
      same_bits(parameter(layer, "weight").grad().select(0, 3), Tensor::zeros({3}, DType::f64)));
}

TEST(Embedding, Errors) {
  Rng rng(4);
  EXPECT_TRUE(
      refuses<Error>([&] { Embedding(0, 2, rng, DType::f32); }, {"[Embedding]", "0 and 2"}));
  EXPECT_TRUE(
      refuses<Error>([&] { Embedding(3, 0, rng, DType::f32); }, {"[Embedding]", "3 and 0"}));
  const Embedding layer(5, 3, rng, DType::f32);
  for (const std::int64_t bad : {std::int64_t{5}, std::int64_t{-1}}) {
    const Tensor ids = Tensor::from<std::int64_t>({2, 2}, std::vector<std::int64_t>{4, 0, bad, 2});
    EXPECT_TRUE(refuses<Error>([&] { layer.forward(ids); }, {"position 2"}));
  }
}

TEST(LayerNorm, NormalisesRowsAndStartsWithScaleOneAndShiftZero) {
  const LayerNorm layer(32, DType::f64);
  EXPECT_TRUE(same_bits(parameter(layer, "weight").value(), Tensor::full({32}, 1.0, DType::f64)));
  EXPECT_TRUE(same_bits(parameter(layer, "bias").value(), Tensor::zeros({32}, DType::f64)));
  const Variable x = affine(Variable(random_tensor({3, 32}, 1)), 5.0, 100.0);
  const std::vector<double> y = layer.forward(x).value().to_vector<double>();
  for (std::size_t row = 0; row < 3; ++row) {
    double sum = 0;
    double squares = 0;
    for (std::size_t n = 0; n < 32; ++n) {
      sum += y[row * 32 + n];
      squares += y[row * 32 + n] * y[row * 32 + n];
    }
    // The mean of x is 100: its rounding is 100 * 2^-53, relative to a deviation of 5.
    EXPECT_TRUE(std::abs(sum / 32) <= 1e-13) << sum;
    // eps = 1e-5 lowers the variance from 1 by 1e-5 / 25.
    EXPECT_TRUE(std::abs(squares / 32 - 1) <= 1e-6) << squares;
  }
}

TEST(LayerNorm, EpsKeepsARowOfEqualElementsFinite) {
  const LayerNorm layer(4, DType::f32);
  const Tensor y = layer.forward(Variable(Tensor::full({2, 4}, 3.0, DType::f32))).value();
  EXPECT_TRUE(largest_difference(y, Tensor::zeros({2, 4}, DType::f32)) <= 0.0);
}

TEST(LayerNorm, EpsChangesTheOutput) {
  const Variable x(random_tensor({2, 4}, 2));
  EXPECT_TRUE(largest_difference(LayerNorm(4, DType::f64, 1e-5).forward(x).value(),
                                 LayerNorm(4, DType::f64, 1.0).forward(x).value()) >= 1e-2);
}

TEST(LayerNorm, Gradients) {
  LayerNorm layer(5, DType::f64);
  // Away from 1 and 0, where products with them could hide a mistake.
  parameter(layer, "weight").mutable_value().copy_from(random_tensor({5}, 3));
  parameter(layer, "bias").mutable_value().copy_from(random_tensor({5}, 4));
  EXPECT_TRUE(gradients_agree(layer,
                              [&](const std::vector<Variable>& in) { return layer.forward(in[0]); },
                              {random_tensor({2, 3, 5}, 5)}));
}

TEST(LayerNorm, OfASumIsTheSumAndItsNorm) {
  LayerNorm layer(5, DType::f64);
  parameter(layer, "weight").mutable_value().copy_from(random_tensor({5}, 3));
  parameter(layer, "bias").mutable_value().copy_from(random_tensor({5}, 4));
  const Variable x(random_tensor({2, 3, 5}, 5));
  const Variable residual(random_tensor({2, 3, 5}, 6));
  const SumAndNorm both = layer.forward_sum(x, residual);
  EXPECT_TRUE(same_bits(both.sum.value(), add(x, residual).value()));
  EXPECT_TRUE(same_bits(both.normalised.value(), layer.forward(add(x, residual)).value()));
  EXPECT_TRUE(gradients_agree(layer,
                              [&](const std::vector<Variable>& in) {
                                const SumAndNorm r = layer.forward_sum(in[0], in[1]);
                                return mul(r.sum, r.normalised);
                              },
                              {random_tensor({2, 3, 5}, 7), random_tensor({2, 3, 5}, 8)}));
}

TEST(LayerNorm, RefusesAnotherWidth) {
  const LayerNorm layer(5, DType::f64);
  EXPECT_TRUE(refuses<Error>(
      [&] {
        layer.forward(Variable(random_tensor({2, 4}, 1)));
      },
      {"[layer_norm]", "(4)", "(5)"}));
}

TEST(Dropout, IsTheIdentityInEvaluationAndTakesNoStream) {
  Rng rng(1);
  Dropout layer(0.5, rng);
  layer.train(false);
  const Variable x(random_tensor({4, 8}, 2));
  EXPECT_TRUE(same_bits(layer.forward(x).value(), x.value()));
  EXPECT_EQ(rng.position(), 0u);
}

TEST(Dropout, OfZeroIsTheIdentityInTraining) {
  Rng rng(1);
  const Dropout layer(0.0, rng);
  const Variable x(random_tensor({4, 8}, 2));
  EXPECT_TRUE(same_bits(layer.forward(x).value(), x.value()));
  EXPECT_EQ(rng.position(), 0u);
}

TEST(Dropout, ZeroesTheGivenFractionAndScalesTheRest) {
  for (const double p : {0.1, 0.5, 0.9}) {
    Rng rng(3);
    const Dropout layer(p, rng);
    const std::int64_t count = 20000;
    const std::vector<double> y = layer.forward(Variable(Tensor::full({100, 200}, 3.0, DType::f64)))
                                      .value()
                                      .to_vector<double>();
    std::int64_t zeros = 0;
    for (const double value : y) {
      zeros += value == 0.0 ? 1 : 0;
      // A kept element is 3 / (1 - p) up to the rounding of the scale.
      EXPECT_TRUE(value == 0.0 || std::abs(value * (1 - p) / 3.0 - 1) <= 1e-6) << value;
    }
    // Five deviations of the binomial count.
    const double n = static_cast<double>(count);
    EXPECT_TRUE(std::abs(static_cast<double>(zeros) - p * n) <= 5 * std::sqrt(n * p * (1 - p)));
  }
}

TEST(Dropout, EveryCallHasAMaskOfItsOwnThatThePositionRepeats) {
  Rng rng(4);
  const Dropout layer(0.5, rng);
  const Variable x(Tensor::full({8, 16}, 1.0, DType::f32));
  const Tensor first = layer.forward(x).value();
  const Tensor second = layer.forward(x).value();
  EXPECT_FALSE(same_bits(first, second));
  EXPECT_EQ(rng.position(), 2u);
  rng.set_position(0);
  EXPECT_TRUE(same_bits(layer.forward(x).value(), first));
}

// A mask shared by all samples is a mistake seen elsewhere.
TEST(Dropout, RowsHaveDifferentMasks) {
  Rng rng(5);
  const Dropout layer(0.5, rng);
  const Tensor y = layer.forward(Variable(Tensor::full({2, 64}, 1.0, DType::f32))).value();
  EXPECT_FALSE(same_bits(y.select(0, 0), y.select(0, 1)));
}

TEST(Dropout, BackwardUsesTheMaskOfItsForward) {
  Rng rng(6);
  const Dropout layer(0.4, rng);
  const Variable x(Tensor::full({8, 16}, 1.0, DType::f64), true);
  const Variable first = layer.forward(x);
  (void)layer.forward(x);  // another mask is drawn in between
  sum(first).backward();
  EXPECT_TRUE(same_bits(x.grad(), first.value()));
}

TEST(Dropout, Errors) {
  Rng rng(7);
  for (const double p : {1.0, -0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_TRUE(refuses<Error>([&] { Dropout(p, rng); }, {"[Dropout]", "[0, 1)"})) << p;
  }
}

TEST(Mlp, IsDownOfGeluOfUp) {
  Rng rng(1);
  const Mlp layer(3, 5, rng, DType::f64);
  EXPECT_EQ(parameter_names(layer),
            (std::vector<std::string>{"up.weight", "up.bias", "down.weight", "down.bias"}));
  EXPECT_EQ(parameter(layer, "up.weight").shape(), (Shape{5, 3}));
  EXPECT_EQ(parameter(layer, "down.weight").shape(), (Shape{3, 5}));
  const Variable x(random_tensor({2, 4, 3}, 2));
  const Variable expected =
      linear(gelu(linear(x, parameter(layer, "up.weight"), parameter(layer, "up.bias"))),
             parameter(layer, "down.weight"), parameter(layer, "down.bias"));
  EXPECT_TRUE(same_bits(layer.forward(x).value(), expected.value()));
}

TEST(Mlp, Gradients) {
  Rng rng(2);
  Mlp layer(3, 5, rng, DType::f64);
  EXPECT_TRUE(gradients_agree(layer,
                              [&](const std::vector<Variable>& in) { return layer.forward(in[0]); },
                              {random_tensor({2, 3, 3}, 3)}));
}

}  // namespace
}  // namespace basin::nn

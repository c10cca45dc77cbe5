#include "nn/dense_classifier.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "nn/optim/row_momentum.h"
#include "tensor/error.h"
#include "tensor/functions/reduce.h"
#include "tests/support/expect_error.h"
#include "tests/support/module_gradcheck.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"

namespace basin::nn {
namespace {

using test::largest_difference;
using test::refuses;
using test::same_bits;

constexpr Interaction kInteractions[] = {Interaction::power, Interaction::rectified,
                                         Interaction::exponential};

// The definition, memory by memory and label by label.
std::vector<double> by_hand(const DenseClassifier& model, const Tensor& x, std::int64_t inputs) {
  const DenseClassifierOptions& o = model.options();
  const Tensor& memories = model.memories().value();
  const std::int64_t units = memories.size(1);
  const std::vector<double> xi = memories.to_vector<double>();
  const std::vector<double> rows = x.to_vector<double>();
  const auto f = [&](double z) {
    const double y = z / o.temperature;
    const auto n = static_cast<double>(o.degree);
    switch (o.interaction) {
      case Interaction::power: return std::pow(y, n);
      case Interaction::rectified: return y > 0 ? std::pow(y, n) : 0.0;
      case Interaction::exponential: break;
    }
    return std::exp(n * (y - 1));
  };
  std::vector<double> all;
  for (std::int64_t b = 0; b < x.size(0); ++b) {
    for (std::int64_t label = inputs; label < units; ++label) {
      double evidence = 0;
      for (std::int64_t k = 0; k < memories.size(0); ++k) {
        double on = 0;
        double off = 0;
        for (std::int64_t i = 0; i < units; ++i) {
          const double weight = xi[static_cast<std::size_t>(k * units + i)];
          const double visible = i < inputs ? rows[static_cast<std::size_t>(b * inputs + i)] : -1.0;
          on += weight * (i == label ? 1.0 : visible);
          off += weight * visible;
        }
        evidence += f(on) - f(off);
      }
      all.push_back(std::tanh(evidence));
    }
  }
  return all;
}

DenseClassifierOptions small(Interaction interaction, std::int64_t degree = 3) {
  DenseClassifierOptions o;
  o.memories = 5;
  o.interaction = interaction;
  o.degree = degree;
  o.temperature = 2.0;
  return o;
}

TEST(DenseClassifier, FollowsItsDefinition) {
  for (const Interaction interaction : kInteractions) {
    for (const std::int64_t degree : {1, 2, 5}) {
      Rng rng(3);
      const DenseClassifier model(7, 4, small(interaction, degree), rng, DType::f64);
      const Tensor x = rng.uniform({6, 7}, -1, 1, DType::f64);
      const Tensor c = model.forward(Variable(x)).value();
      EXPECT_EQ(c.shape(), Shape({6, 4}));
      EXPECT_TRUE(largest_difference(c, Tensor::from<double>({6, 4}, by_hand(model, x, 7))) <=
                  1e-13);
    }
  }
}

TEST(DenseClassifier, GradientsAgreeWithFiniteDifferences) {
  for (const Interaction interaction : kInteractions) {
    Rng rng(4);
    DenseClassifier model(6, 3, small(interaction), rng, DType::f64);
    const Tensor x = rng.uniform({5, 6}, -1, 1, DType::f64);
    const Tensor targets = dense_targets(
        Tensor::from<std::uint8_t>({5}, std::vector<std::uint8_t>{0, 1, 2, 2, 1}), 3, DType::f64);
    EXPECT_TRUE(test::gradients_agree(
        model, [&](const auto& in) { return power_error(model.forward(in[0]), targets, 2); }, {x}));
  }
}

TEST(DenseClassifier, EveryOptionChangesTheOutput) {
  const auto output = [](const DenseClassifierOptions& o) {
    Rng rng(5);
    const DenseClassifier model(7, 4, o, rng, DType::f64);
    return model.forward(Variable(rng.uniform({6, 7}, -1, 1, DType::f64))).value();
  };
  const DenseClassifierOptions plain = small(Interaction::rectified);
  const auto differs = [&](const auto& change) {
    DenseClassifierOptions o = plain;
    change(o);
    return largest_difference(output(o), output(plain)) > 1e-6;
  };
  EXPECT_TRUE(differs([](auto& o) { o.memories = 6; }));
  EXPECT_TRUE(differs([](auto& o) { o.interaction = Interaction::power; }));
  EXPECT_TRUE(differs([](auto& o) { o.interaction = Interaction::exponential; }));
  EXPECT_TRUE(differs([](auto& o) { o.degree = 4; }));
  EXPECT_TRUE(differs([](auto& o) { o.temperature = 3.0; }));
  EXPECT_TRUE(differs([](auto& o) { o.initial_mean = 0.0; }));
  EXPECT_TRUE(differs([](auto& o) { o.initial_deviation = 0.4; }));
}

TEST(DenseClassifier, AnInputDoesNotDependOnTheOthersOrOnThreads) {
  Rng rng(6);
  const DenseClassifier model(20, 4, small(Interaction::rectified, 8), rng, DType::f32);
  const Tensor x = rng.uniform({40, 20}, -1, 1, DType::f32);
  const Tensor all = model.forward(Variable(x)).value();
  Tensor other = x.clone();
  other.select(0, 3).fill(0.5);
  const Tensor changed = model.forward(Variable(other)).value();
  EXPECT_TRUE(same_bits(changed.slice(0, 4, 40), all.slice(0, 4, 40)));
  EXPECT_FALSE(same_bits(changed.slice(0, 3, 4), all.slice(0, 3, 4)));
  const test::ScopedThreads two(2);
  EXPECT_TRUE(same_bits(model.forward(Variable(x)).value(), all));
}

// The published exponents: far beyond f32 as plain powers, z^30 of z up to 794.
TEST(DenseClassifier, HighDegreesStayInRange) {
  for (const Interaction interaction : kInteractions) {
    DenseClassifierOptions o;
    o.memories = 3;
    o.degree = 30;
    o.interaction = interaction;
    o.initial_mean = 1.0;
    o.initial_deviation = 0.0;
    Rng rng(7);
    const DenseClassifier model(784, 10, o, rng, DType::f32);
    const Variable c = model.forward(Variable(Tensor::full({2, 784}, 1.0, DType::f32)));
    const Variable loss = power_error(c, Tensor::full({2, 10}, -1.0, DType::f32), 30);
    loss.backward();
    for (const double value : c.value().to_vector<double>()) {
      EXPECT_TRUE(std::abs(value) <= 1.0);
    }
    for (const double slope : model.memories().grad().to_vector<double>()) {
      ASSERT_TRUE(std::isfinite(slope));
    }
  }
}

// The two inputs of XOR and one label unit, from random memories.
double xor_error_after(const DenseClassifierOptions& o, int steps) {
  Rng rng(8);
  const DenseClassifier model(2, 1, o, rng, DType::f32);
  const Variable x(Tensor::from<float>({4, 2}, std::vector<float>{-1, -1, -1, 1, 1, -1, 1, 1}));
  const Tensor targets = Tensor::from<float>({4, 1}, std::vector<float>{-1, 1, 1, -1});
  RowMomentum optimizer(model.parameters(), {0.6, 1.0});
  double worst = 0;
  for (int step = 0; step <= steps; ++step) {
    Variable(model.memories()).clear_grad();
    const Variable c = model.forward(x);
    power_error(c, targets, 2).backward();
    worst = largest_difference(c.value(), targets);
    optimizer.step(0.05 * std::pow(0.99, step));
  }
  return worst;
}

TEST(DenseClassifier, LearnsXorWhereOneMemoryForAllCannot) {
  DenseClassifierOptions o;
  o.memories = 8;
  o.degree = 3;
  o.temperature = 1.0;
  o.initial_mean = 0.0;
  EXPECT_GT(xor_error_after(o, 0), 1.0);
  EXPECT_LT(xor_error_after(o, 300), 0.05);
  // Squares of unrectified overlaps make energies of pairs of units, which know no XOR.
  o.interaction = Interaction::power;
  o.degree = 2;
  EXPECT_GT(xor_error_after(o, 300), 0.95);
}

TEST(DenseClassifier, Refuses) {
  Rng rng(9);
  const auto make = [&](std::int64_t inputs, std::int64_t classes, const auto& change) {
    DenseClassifierOptions o;
    change(o);
    return [=, &rng] { DenseClassifier(inputs, classes, o, rng, DType::f32); };
  };
  const auto nothing = [](auto&) {};
  EXPECT_TRUE(refuses<Error>(make(0, 10, nothing), {"0, 10 and 100"}));
  EXPECT_TRUE(refuses<Error>(make(784, 0, nothing), {"784, 0 and 100"}));
  EXPECT_TRUE(refuses<Error>(make(4, 2, [](auto& o) { o.memories = 0; }), {"4, 2 and 0"}));
  EXPECT_TRUE(refuses<Error>(make(4, 2, [](auto& o) { o.degree = 0; }), {"degree", "0 and 540"}));
  EXPECT_TRUE(refuses<Error>(make(4, 2, [](auto& o) { o.temperature = 0; }), {"20 and 0"}));
  // 794^20 without a temperature.
  EXPECT_TRUE(refuses<Error>(make(784, 10, [](auto& o) { o.temperature = 1; }),
                             {"794 units", "degree 20", "raise the temperature"}));
  EXPECT_TRUE(refuses<Error>(
      [] {
        dense_targets(Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{1, 3}), 3,
                      DType::f32);
      },
      {"label 3 of row 1", "3 classes"}));
}

TEST(DenseTargets, AreOneAtTheLabelAndMinusOneElsewhere) {
  const Tensor labels = Tensor::from<std::uint8_t>({2}, std::vector<std::uint8_t>{2, 0});
  EXPECT_EQ(dense_targets(labels, 3, DType::f32).to_vector<double>(),
            (std::vector<double>{-1, -1, 1, 1, -1, -1}));
}

}  // namespace
}  // namespace basin::nn

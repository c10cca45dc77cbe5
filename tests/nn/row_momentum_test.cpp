#include "nn/optim/row_momentum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin::nn {
namespace {

using test::refuses;
using test::same_bits;

Variable leaf(const Shape& shape, const std::vector<double>& values) {
  return Variable(Tensor::from<double>(shape, values), true);
}

void set_gradient(Variable variable, const std::vector<double>& values) {
  variable.clear_grad();
  variable.add_grad(Tensor::from<double>(variable.shape(), values));
}

void expect_values(const Variable& variable, const std::vector<double>& expected) {
  const std::vector<double> found = variable.value().to_vector<double>();
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t n = 0; n < found.size(); ++n) {
    EXPECT_NEAR(found[n], expected[n], 1e-15) << n;
  }
}

TEST(RowMomentum, FollowsItsRuleByHand) {
  const Variable p = leaf({2, 2}, {0.5, 0.5, 0.5, 0.5});
  RowMomentum optimizer({{"p", p}}, {0.5, 1.0});
  // Whatever the size of the gradient, the largest change in a row is the rate.
  set_gradient(p, {4, -2, 1e-12, 0});
  optimizer.step(0.1);
  expect_values(p, {0.4, 0.55, 0.4, 0.5});
  // u = (0.5 4 + 2, 0.5 -2 + 5) = (4, 4) and (0.5e-12, -1e-12).
  set_gradient(p, {2, 5, 0, -1e-12});
  optimizer.step(0.1);
  expect_values(p, {0.3, 0.45, 0.35, 0.6});
  EXPECT_EQ(optimizer.states()[0].slots[0].to_vector<double>(),
            (std::vector<double>{4, 4, 0.5e-12, -1e-12}));
}

TEST(RowMomentum, ClipsToTheBound) {
  const Variable p = leaf({1, 3}, {0.95, -0.95, 0});
  RowMomentum optimizer({{"p", p}}, {0.0, 1.0});
  set_gradient(p, {-1, 1, 0.5});
  optimizer.step(0.1);
  expect_values(p, {1, -1, -0.05});
}

TEST(RowMomentum, ARowWithoutSlopeStays) {
  const Variable p = leaf({2, 2}, {0.1, 0.2, 0.3, 0.4});
  RowMomentum optimizer({{"p", p}}, {0.6, 1.0});
  set_gradient(p, {0, 0, 1, 0});
  optimizer.step(0.1);
  expect_values(p, {0.1, 0.2, 0.2, 0.4});
}

// A steep loss leaves rows of numbers below the smallest normal one, with which arithmetic is slow.
TEST(RowMomentum, NumbersBelowTheSmallestNormalOneCountAsZero) {
  constexpr double kTiny = std::numeric_limits<double>::denorm_min();
  constexpr double kNormal = std::numeric_limits<double>::min();
  const Variable p = leaf({2, 3}, {0.1, 0.2, 0.3, 0.4, 0.5, 0.6});
  RowMomentum optimizer({{"p", p}}, {0.5, 1.0});
  set_gradient(p, {kTiny, -1000 * kTiny, 0, kNormal, -2 * kNormal, 1000 * kTiny});
  optimizer.step(0.1);
  expect_values(p, {0.1, 0.2, 0.3, 0.35, 0.6, 0.6});
  EXPECT_EQ(optimizer.states()[0].slots[0].to_vector<double>(),
            (std::vector<double>{0, 0, 0, kNormal, -2 * kNormal, 0}));
  set_gradient(p, {0, 0, 0, 0, 0, 0});
  optimizer.step(0.1);  // half of the smallest normal number is none
  EXPECT_EQ(optimizer.states()[0].slots[0].to_vector<double>(),
            (std::vector<double>{0, 0, 0, 0, -kNormal, 0}));
  expect_values(p, {0.1, 0.2, 0.3, 0.35, 0.7, 0.6});
}

TEST(RowMomentum, AVectorIsOneRow) {
  const Variable p = leaf({3}, {0, 0, 0});
  RowMomentum optimizer({{"p", p}}, {});
  set_gradient(p, {1, 2, -4});
  optimizer.step(0.4);
  expect_values(p, {-0.1, -0.2, 0.4});
}

TEST(RowMomentum, EveryOptionChangesTheUpdate) {
  const auto after = [](const RowMomentumOptions& options) {
    const Variable p = leaf({1, 2}, {0.5, -0.5});
    RowMomentum optimizer({{"p", p}}, options);
    set_gradient(p, {1, 0.5});
    optimizer.step(0.2);
    set_gradient(p, {0.1, 0.4});
    optimizer.step(0.2);
    return p.value().to_vector<double>();
  };
  EXPECT_NE(after({0.6}), after({0.1}));
  EXPECT_NE(after({0.6}), after({0.6, 0.55}));
}

TEST(RowMomentum, AGradientThatIsNotFiniteChangesNothing) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const Variable p = leaf({1, 2}, {0.5, -0.5});
    RowMomentum optimizer({{"p", p}}, {});
    const Tensor before = p.value().clone();
    set_gradient(p, {1, bad});
    EXPECT_FALSE(std::isfinite(optimizer.step(0.2)));
    EXPECT_TRUE(same_bits(p.value(), before));
    EXPECT_EQ(optimizer.steps(), 0);
  }
}

TEST(RowMomentum, RefusesOptionsThatCannotBe) {
  const Variable p = leaf({2}, {0, 0});
  EXPECT_TRUE(refuses<Error>([&] { RowMomentum({{"p", p}}, {1.0}); }, {"momentum in [0, 1)"}));
  EXPECT_TRUE(refuses<Error>([&] { RowMomentum({{"p", p}}, {0.5, 0.0}); }, {"bound", "got 0"}));
}

}  // namespace
}  // namespace basin::nn

#include "nn/layers/positions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
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
using test::random_tensor;
using test::refuses;
using test::same_bits;

TEST(Positions, NamesAreReadBack) {
  for (const PositionKind kind : {PositionKind::none, PositionKind::learned,
                                  PositionKind::sinusoidal, PositionKind::rotary}) {
    PositionKind read = kind == PositionKind::none ? PositionKind::learned : PositionKind::none;
    EXPECT_TRUE(parse(name_of(kind), read));
    EXPECT_EQ(read, kind);
  }
  PositionKind untouched = PositionKind::sinusoidal;
  EXPECT_FALSE(parse("absolute", untouched));
  EXPECT_EQ(untouched, PositionKind::sinusoidal);
}

// Rotary positions act inside the association.
TEST(Positions, NoneAndRotaryAddNothingAndHaveNoParameters) {
  for (const PositionKind kind : {PositionKind::none, PositionKind::rotary}) {
    Rng rng(1);
    const Positions layer(kind, 4, 3, rng, DType::f64);
    EXPECT_TRUE(layer.parameters().empty());
    const Variable x(random_tensor({2, 4, 3}, 2));
    EXPECT_TRUE(same_bits(layer.forward(x).value(), x.value()));
  }
}

// Row t of what is added must be row t of the table, for every sample and also for a short
// sequence.
TEST(Positions, LearnedAddsTheFirstRowsOfItsTable) {
  Rng rng(2);
  const Positions layer(PositionKind::learned, 5, 3, rng, DType::f64);
  const Variable table = parameter(layer, "weight");
  EXPECT_EQ(table.shape(), (Shape{5, 3}));
  for (const std::int64_t length : {std::int64_t{1}, std::int64_t{4}, std::int64_t{5}}) {
    const Tensor y = layer.forward(Variable(Tensor::zeros({2, length, 3}, DType::f64))).value();
    for (std::int64_t b = 0; b < 2; ++b) {
      EXPECT_TRUE(same_bits(y.select(0, b), table.value().slice(0, 0, length))) << length;
    }
  }
}

TEST(Positions, LearnedTableStartsSmall) {
  Rng rng(3);
  const Positions layer(PositionKind::learned, 200, 100, rng, DType::f32);
  double squares = 0;
  for (const double value : parameter(layer, "weight").value().to_vector<double>()) {
    squares += value * value;
  }
  // Deviation 0.02; 20000 numbers give it to 0.5 %, of which five.
  EXPECT_TRUE(std::abs(std::sqrt(squares / 20000) / 0.02 - 1) <= 0.025) << squares;
}

TEST(Positions, LearnedGradients) {
  Rng rng(4);
  Positions layer(PositionKind::learned, 4, 3, rng, DType::f64);
  for (const std::int64_t length : {std::int64_t{2}, std::int64_t{4}}) {
    EXPECT_TRUE(gradients_agree(
        layer, [&](const std::vector<Variable>& in) { return layer.forward(in[0]); },
        {random_tensor({3, length, 3}, 5)}))
        << length;
  }
}

TEST(Positions, SinusoidalFollowsItsFormula) {
  const Tensor table = sinusoidal_positions(50, 6, DType::f64);
  ASSERT_EQ(table.shape(), (Shape{50, 6}));
  const std::vector<double> values = table.to_vector<double>();
  for (std::size_t t = 0; t < 50; ++t) {
    for (std::size_t c = 0; c < 3; ++c) {
      const double angle = static_cast<double>(t) *
                           std::exp(-std::log(10000.0) * 2.0 * static_cast<double>(c) / 6.0);
      // Angles up to 50, computed in another way: 50 times a few units of 2^-52.
      EXPECT_TRUE(std::abs(values[t * 6 + 2 * c] - std::sin(angle)) <= 1e-13) << t << " " << c;
      EXPECT_TRUE(std::abs(values[t * 6 + 2 * c + 1] - std::cos(angle)) <= 1e-13) << t << " " << c;
    }
  }
}

TEST(Positions, SinusoidalAddsItsTableAndHasNoParameters) {
  Rng rng(5);
  const Positions layer(PositionKind::sinusoidal, 6, 5, rng,
                        DType::f32);  // an odd width works, too
  EXPECT_TRUE(layer.parameters().empty());
  EXPECT_EQ(rng.position(), 0u);
  const Tensor y = layer.forward(Variable(Tensor::zeros({2, 3, 5}, DType::f32))).value();
  const Tensor table = sinusoidal_positions(3, 5, DType::f32);
  EXPECT_TRUE(same_bits(y.select(0, 0), table));
  EXPECT_TRUE(same_bits(y.select(0, 1), table));
}

TEST(Positions, RefusesASequenceThatIsTooLong) {
  for (const PositionKind kind : {PositionKind::learned, PositionKind::sinusoidal}) {
    Rng rng(6);
    const Positions layer(kind, 4, 3, rng, DType::f64);
    EXPECT_TRUE(refuses<Error>(
        [&] {
          layer.forward(Variable(random_tensor({1, 5, 3}, 1)));
        },
        {"[Positions]", "sequence of 5", "4 positions"}));
  }
}

}  // namespace
}  // namespace basin::nn

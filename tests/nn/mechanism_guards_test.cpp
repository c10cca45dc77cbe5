// Mistakes that published implementations of these mechanisms make, each with a test that would
// catch it, over every mechanism. What padding, future and other samples must not do is in
// association_visibility_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "kernels/common/philox.h"
#include "nn/layers/association.h"
#include "tensor/functions/retrieval.h"
#include "tests/support/association_variants.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::largest_difference;
using test::random_tensor;
using test::same_bits;

constexpr std::int64_t kLength = 40;
constexpr std::int64_t kHeads = 2;
constexpr std::int64_t kWidth = 8;

class MechanismGuards : public testing::TestWithParam<test::AssociationVariant> {
 protected:
  const AssociationOptions& options() const { return GetParam().options; }
  bool has_weights() const { return !is_kernelised(options().separation); }

  // One call of the mechanism on heads.
  Variable retrieve(const Variable& q, const Variable& k, const Variable& v,
                    const Tensor& beta) const {
    RetrievalSettings settings{.options = options()};
    settings.random_key = 11;
    settings.projection = random_tensor({16, q.size(3)}, 5, q.dtype());
    const Variable alpha(Tensor::full({q.size(1)}, 1.4, q.dtype()));
    return associate(q, k, v, Variable(beta), alpha, settings);
  }
  static Tensor betas(double first, double second) {
    return Tensor::from<double>({2}, std::vector<double>{first, second});
  }
};
INSTANTIATE_TEST_SUITE_P(Every, MechanismGuards, testing::ValuesIn(test::every_mechanism()),
                         test::variant_name);

const Shape kHeadsOf = {2, kHeads, kLength, kWidth};

// A hidden key has no weight; a score of 0 in its place would give it one, and more than the
// visible keys get, whose scores are far below 0 here. The weights of a row are positive and sum to
// at most 1, so no read-out exceeds the largest visible value.
TEST_P(MechanismGuards, HiddenKeysAreExcludedAndNotScoredZero) {
  Tensor k = Tensor::full(kHeadsOf, -3.0, DType::f64);
  Tensor v = Tensor::full(kHeadsOf, 1.0, DType::f64);
  const Tensor lengths = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{30, 20});
  for (std::int64_t b = 0; b < 2; ++b) {
    v.select(0, b).slice(1, b == 0 ? 30 : 20, kLength).fill(1e6);
  }
  RetrievalSettings settings{.options = options(), .key_lengths = lengths};
  settings.random_key = 11;
  settings.projection = random_tensor({16, kWidth}, 5);
  const Variable alpha(Tensor::full({kHeads}, 1.4, DType::f64));
  const Variable y = associate(Variable(Tensor::full(kHeadsOf, 1.0, DType::f64)), Variable(k),
                               Variable(v), Variable(betas(1, 1)), alpha, settings);
  for (const double value : y.value().to_vector<double>()) {
    ASSERT_TRUE(value >= 0 && value <= 1 + 1e-9) << value;
  }
}

// Every position and sample has a value of its own; what is read lies between those that are seen.
TEST_P(MechanismGuards, ReadOutsMixNeitherSamplesNorHeads) {
  Tensor v = Tensor::zeros(kHeadsOf, DType::f64);
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < kHeads; ++h) {
      v.select(0, b).select(0, h).fill(static_cast<double>(10 * (2 * b + h) + 5));
    }
  }
  const Variable y = retrieve(Variable(random_tensor(kHeadsOf, 1)),
                              Variable(random_tensor(kHeadsOf, 2)), Variable(v), betas(1, 1));
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t h = 0; h < kHeads; ++h) {
      const double own = static_cast<double>(10 * (2 * b + h) + 5);
      for (const double value : y.value().select(0, b).select(0, h).to_vector<double>()) {
        // Sums below 1 where weights were dropped or nothing was seen.
        ASSERT_TRUE(value >= 0 && value <= own * (1 + 1e-6)) << value << " of " << own;
      }
    }
  }
}

TEST_P(MechanismGuards, TheBetaOfAHeadActsOnThatHeadAlone) {
  const Variable q(random_tensor(kHeadsOf, 1));
  const Variable k(random_tensor(kHeadsOf, 2));
  const Variable v(random_tensor(kHeadsOf, 3));
  const Tensor before = retrieve(q, k, v, betas(0.5, 0.5)).value();
  const Tensor after = retrieve(q, k, v, betas(0.5, 1.5)).value();
  EXPECT_TRUE(same_bits(before.select(1, 0), after.select(1, 0)));
  // Linear attention has no beta; a quotient of powers or of rectified sums hardly depends on it.
  const bool depends = options().separation != Separation::linear &&
                       options().separation != Separation::polynomial &&
                       options().feature_map != FeatureMap::relu;
  if (depends) {
    EXPECT_TRUE(largest_difference(before.select(1, 1), after.select(1, 1)) >= 1e-3)
        << "beta has no effect";
  }
}

// Steps before the last move the state among the patterns; the values, here of another width, are
// read once, at the end.
TEST_P(MechanismGuards, TheStateMovesAmongThePatternsAndNotAmongTheValues) {
  if (!has_weights() || options().update_steps == 1 || options().tolerance > 0) {
    return;
  }
  const Variable q(random_tensor(kHeadsOf, 1));
  const Variable k(random_tensor(kHeadsOf, 2));
  const Variable v(random_tensor({2, kHeads, kLength, 3}, 3));
  RetrievalSettings one{.options = options()};
  one.options.update_steps = 1;
  const Variable beta(betas(0.5, 0.8));
  const Variable alpha(Tensor::full({kHeads}, 1.4, DType::f64));
  Variable state = q;
  for (std::int64_t step = 1; step < options().update_steps; ++step) {
    state = associate(state, k, k, beta, alpha, one);
  }
  EXPECT_TRUE(largest_difference(associate(state, k, v, beta, alpha, one).value(),
                                 retrieve(q, k, v, beta.value()).value()) <= 1e-12);
}

// Any length, whatever window, tile or block it is no multiple of.
TEST_P(MechanismGuards, AnyLengthWorks) {
  for (const std::int64_t length : {1, 2, 3, 7, 31, 33, 63, 65, 127, 130}) {
    const Shape shape = {1, kHeads, length, kWidth};
    const Variable q(random_tensor(shape, 1), true);
    const Variable k(random_tensor(shape, 2), true);
    const Variable y = retrieve(q, k, k, betas(0.5, 0.8));
    ASSERT_EQ(y.shape(), shape);
    y.backward(random_tensor(shape, 4));
    for (const Tensor& x : {y.value(), q.grad(), k.grad()}) {
      for (const double value : x.to_vector<double>()) {
        ASSERT_TRUE(std::isfinite(value)) << length;
      }
    }
  }
}

TEST_P(MechanismGuards, EvaluationTwiceGivesTheSameBits) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Rng rng(1);
    Association layer(16, 2, options(), rng, dtype, GetParam().rotary);
    layer.train(false);
    const Variable x(random_tensor({2, kLength, 16}, 2, dtype));
    EXPECT_TRUE(same_bits(layer.forward(x, x, x).value(), layer.forward(x, x, x).value()));
  }
}

// 10 000 random states, random patterns and temperatures: no update raises the energy.
TEST(Energy, NeverRises) {
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::entmax}) {
    Rng rng(3);
    for (int round = 0; round < 50; ++round) {
      const auto draw = [&](std::uint64_t purpose) {
        return kernels::uniform_from_word(
            kernels::philox_word(purpose, 0, static_cast<std::uint64_t>(round)));
      };
      RetrievalInputs in;
      in.options.separation = separation;
      in.q = rng.normal({1, 1, 200, 12}, 0.2 + 3 * draw(1), DType::f64);
      in.k = rng.normal({1, 1, 1 + static_cast<std::int64_t>(40 * draw(2)), 12}, 1.0, DType::f64);
      in.v = in.k;
      in.beta = Tensor::full({1}, std::exp(6 * draw(3) - 4), DType::f64);
      if (separation == Separation::entmax) {
        in.alpha = Tensor::full({1}, 1.05 + 0.9 * draw(4), DType::f64);
      }
      std::vector<double> before = retrieval_energy(in).to_vector<double>();
      for (int step = 0; step < 3; ++step) {
        in.q = retrieval(in).out.contiguous();
        const std::vector<double> after = retrieval_energy(in).to_vector<double>();
        for (std::size_t n = 0; n < after.size(); ++n) {
          // Rounding of numbers as large as the energy's terms.
          ASSERT_TRUE(after[n] <= before[n] + 1e-10 * (1 + std::abs(before[n])))
              << name_of(separation) << " round " << round << " step " << step << " state " << n
              << ": " << before[n] << " to " << after[n];
        }
        before = after;
      }
    }
  }
}

}  // namespace
}  // namespace basin::nn

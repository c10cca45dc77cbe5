// gradcheck() itself: it must pass right gradients and catch planted mistakes.
#include "autograd/gradcheck.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "autograd/node.h"
#include "autograd/operations.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/normalise.h"
#include "tensor/functions/reduce.h"
#include "tensor/rng.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin::test {
namespace {

using In = const std::vector<Variable>&;

Tensor draw(const Shape& shape, std::uint64_t seed) {
  return Rng(seed).normal(shape, 1.0, DType::f64);
}

// sin(x) with a gradient that `damage` may change.
DifferentiableFunction damaged_sin(std::function<Tensor(const Tensor&)> damage) {
  return [damage](In in) {
    const Tensor x = in[0].value();
    return record("damaged_sin", {in[0]}, sin(x), [x, damage](const Tensor& dy, auto) {
      return std::vector<Tensor>{damage(mul(dy, cos(x)))};
    });
  };
}

GradcheckResult check_damaged(std::function<Tensor(const Tensor&)> damage) {
  return gradcheck(damaged_sin(std::move(damage)), {draw({3, 4}, 1)});
}

TEST(Gradcheck, PassesARightGradient) {
  const GradcheckResult result = check_damaged([](const Tensor& g) { return g; });
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_TRUE(result.worst <= 1.0);
  EXPECT_GT(result.worst, 0.0) << "finite differences are never exact";
  EXPECT_EQ(result.message, "");
}

TEST(Gradcheck, CatchesAMissingFactor) {
  EXPECT_FALSE(check_damaged([](const Tensor& g) { return affine(g, 2.0, 0.0); }).ok);
  EXPECT_FALSE(check_damaged([](const Tensor& g) { return affine(g, 1.0001, 0.0); }).ok);
}

TEST(Gradcheck, CatchesAWrongSign) {
  EXPECT_FALSE(check_damaged([](const Tensor& g) { return neg(g); }).ok);
}

TEST(Gradcheck, CatchesNanAndInfinity) {
  for (const double value : {std::nan(""), HUGE_VAL}) {
    const GradcheckResult result = check_damaged([value](const Tensor& g) {
      Tensor copy = g.clone();
      copy.mutable_data<double>()[5] = value;
      return copy;
    });
    EXPECT_FALSE(result.ok);
    EXPECT_NE(result.message.find("element 5"), std::string::npos) << result.message;
    EXPECT_FALSE(result.worst <= 1.0) << result.worst;
  }
}

TEST(Gradcheck, CatchesAMissingGradient) {
  EXPECT_FALSE(check_damaged([](const Tensor&) { return Tensor(); }).ok);
  // The same mistake without a node: the value depends on the input, the history does not.
  EXPECT_FALSE(gradcheck([](In in) { return exp(in[0].detach()); }, {draw({2}, 1)}).ok);
}

TEST(Gradcheck, CatchesOneWrongElementAndNamesIt) {
  const GradcheckResult result = check_damaged([](const Tensor& g) {
    Tensor copy = g.clone();
    copy.mutable_data<double>()[7] += 1e-3;
    return copy;
  });
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.message.find("input 0 (3, 4) f64 element 7"), std::string::npos)
      << result.message;
}

TEST(Gradcheck, CatchesTheWrongInput) {
  // mul with the two gradients exchanged.
  const GradcheckResult result = gradcheck(
      [](In in) {
        const Tensor a = in[0].value();
        const Tensor b = in[1].value();
        return record("exchanged", {in[0], in[1]}, mul(a, b), [a, b](const Tensor& dy, auto) {
          return std::vector<Tensor>{mul(dy, a), mul(dy, b)};
        });
      },
      {draw({3}, 1), draw({3}, 2)});
  EXPECT_FALSE(result.ok);
}

TEST(Gradcheck, CatchesWhatASumOfTheOutputsWouldHide) {
  // The outputs of softmax add up to 1: by their plain sum, a gradient of 0 looks right.
  const GradcheckResult result = gradcheck(
      [](In in) {
        return record("flat softmax", {in[0]}, softmax(in[0].value()), [](const Tensor& dy, auto) {
          return std::vector<Tensor>{affine(dy, 0.0, 0.0)};
        });
      },
      {draw({2, 4}, 1)});
  EXPECT_FALSE(result.ok);
}

TEST(Gradcheck, CatchesAForgottenSumOverABroadcastOperand) {
  // The gradient of the row is that of one row of the result instead of their sum.
  const GradcheckResult result = gradcheck(
      [](In in) {
        const Tensor x = in[0].value();
        return record("first row only", {in[0]}, x.expand({3, 4}).clone(),
                      [](const Tensor& dy, auto) { return std::vector<Tensor>{dy.select(0, 0)}; });
      },
      {draw({4}, 1)});
  EXPECT_FALSE(result.ok);
}

TEST(Gradcheck, CatchesAFunctionThatChangesItsMind) {
  int calls = 0;
  const GradcheckResult result =
      gradcheck([&calls](In in) { return affine(in[0], 1.0, 1e-3 * ++calls); }, {draw({2}, 1)});
  EXPECT_FALSE(result.ok);
  EXPECT_NE(result.message.find("different values"), std::string::npos);
}

TEST(Gradcheck, CatchesValuesThatAreNotNumbers) {
  EXPECT_FALSE(gradcheck([](In in) { return log(affine(in[0], 1.0, -100.0)); }, {draw({2}, 1)}).ok);
}

TEST(Gradcheck, LeavesTheInputsAndOtherDTypesAlone) {
  const Tensor x = draw({4, 3}, 1).transpose(0, 1);
  const Tensor ids = Tensor::from<std::int64_t>({2}, std::vector<std::int64_t>{0, 2});
  const Tensor copy = x.clone();
  const GradcheckResult result = gradcheck(
      [](In in) {
        EXPECT_FALSE(in[1].requires_grad());
        return embedding(in[0], in[1].value());
      },
      {x, ids});
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_TRUE(same_bits(x, copy));
}

TEST(Gradcheck, NeedsF64) {
  EXPECT_TRUE(refuses<Error>(
      [] { (void)gradcheck([](In in) { return in[0]; }, {Tensor::zeros({2}, DType::f32)}); },
      {"[gradcheck]", "f64", "(2) f32"}));
}

}  // namespace
}  // namespace basin::test

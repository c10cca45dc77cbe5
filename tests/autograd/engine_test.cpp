// The engine: long chains, shared inputs, repeated passes, and what it refuses.
#include "autograd/engine.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <limits>

#include "autograd/gradcheck.h"
#include "autograd/node.h"
#include "autograd/operations.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tests/support/expect_error.h"

namespace basin {
namespace {

using test::refuses;
using Values = std::vector<double>;

Variable leaf(Values values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return Variable(Tensor::from<double>({count}, values), true);
}

// y = 2^0 x after 100 000 additions of 0: forward, backward and the end of the graph.
void* walk_a_long_chain(void* gradient) {
  const Variable x = leaf({3.0});
  {
    Variable y = x;
    for (int n = 0; n < 100000; ++n) y = affine(y, 1.0, 0.0);
    y.backward();
  }
  {
    // A graph that nobody differentiates has to go the same way.
    Variable y = x;
    for (int n = 0; n < 100000; ++n) y = affine(y, 1.0, 0.0);
  }
  *static_cast<double*>(gradient) = x.grad().item();
  return nullptr;
}

TEST(Engine, AChainOf100000NodesNeedsNoStack) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  // Small enough that 100 000 nested calls could not possibly fit.
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 512 * 1024), 0);
  pthread_t thread{};
  double gradient = 0;
  ASSERT_EQ(pthread_create(&thread, &attributes, walk_a_long_chain, &gradient), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_EQ(gradient, 1.0);
}

TEST(Engine, AddsUpTheWaysThroughADiamond) {
  const Variable x = leaf({2.0});
  const Variable a = affine(x, 3.0, 0.0);
  // d/dx of (3x)^2 + 3x * x = 18x + 6x
  sum(add(square(a), mul(a, x))).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), Values({48.0}));
}

TEST(Engine, AnInputUsedTwiceByOneOperationGetsBothGradients) {
  const Variable x = leaf({2.0, 5.0});
  sum(mul(x, x)).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), Values({4.0, 10.0}));
}

TEST(Engine, GradientsAddUpOverPassesUntilTheyAreCleared) {
  Variable x = leaf({1.0, 2.0});
  const auto pass = [&] { sum(affine(x, 3.0, 0.0)).backward(); };
  pass();
  const Tensor first = x.grad();
  pass();
  pass();
  EXPECT_EQ(x.grad().to_vector<double>(), Values({9.0, 9.0}));
  EXPECT_EQ(first.to_vector<double>(), Values({3.0, 3.0}));  // what was handed out stays as it was
  x.clear_grad();
  EXPECT_FALSE(x.grad().defined());
}

TEST(Engine, OneTensorAsGradientOfTwoLeavesIsNotShared) {
  // add() hands dy itself to both of its inputs.
  const Variable a = leaf({1.0});
  const Variable b = leaf({1.0});
  sum(add(a, b)).backward();
  sum(affine(a, 1.0, 0.0)).backward();
  sum(affine(a, 1.0, 0.0)).backward();
  EXPECT_EQ(a.grad().to_vector<double>(), Values({3.0}));
  EXPECT_EQ(b.grad().to_vector<double>(), Values({1.0}));
}

TEST(Engine, ALeafIsItsOwnGradient) {
  const Variable x = leaf({4.0});
  x.backward();
  EXPECT_EQ(x.grad().item(), 1.0);
}

TEST(Engine, AFreedGraphIsRefusedAndARetainedOneRunsAgain) {
  const Variable x = leaf({2.0});
  const Variable y = sum(square(x));
  y.backward({}, true);
  y.backward();
  EXPECT_EQ(x.grad().item(), 8.0);
  EXPECT_TRUE(refuses<Error>([&] { y.backward(); }, {"freed", "retain_graph", "[sum]"}));
}

TEST(Engine, RefusesSeedsThatDoNotFit) {
  const Variable y = square(leaf({1.0, 2.0}));
  EXPECT_TRUE(refuses<Error>([&] { y.backward(); }, {"one element", "(2) f64"}));
  EXPECT_TRUE(
      refuses<Error>([&] { y.backward(Tensor::zeros({3}, DType::f64)); }, {"(3) f64", "(2) f64"}));
  EXPECT_TRUE(
      refuses<Error>([&] { y.backward(Tensor::zeros({2}, DType::f32)); }, {"(2) f32", "(2) f64"}));
  const Variable constant(Tensor::zeros({}, DType::f64));
  EXPECT_TRUE(refuses<Error>([&] { constant.backward(); }, {"requires a gradient"}));
}

TEST(Engine, IntegersHaveNoGradients) {
  EXPECT_TRUE(refuses<Error>([] { Variable(Tensor::zeros({2}, DType::i64), true); },
                             {"(2) i64", "f32 and f64"}));
}

TEST(NoGrad, RecordsNothingAndEndsWithItsScope) {
  const Variable x = leaf({2.0});
  {
    const NoGrad no_grad;
    EXPECT_FALSE(square(x).requires_grad());
    {
      const EnableGrad enable;
      EXPECT_TRUE(square(x).requires_grad());
    }
    EXPECT_FALSE(grad_enabled());
  }
  EXPECT_TRUE(square(x).requires_grad());
}

TEST(Variable, DetachCutsTheHistory) {
  const Variable x = leaf({2.0});
  sum(mul(square(x).detach(), x)).backward();
  EXPECT_EQ(x.grad().item(), 4.0);  // d(4 x)/dx, not d(x^3)/dx
}

TEST(Saved, AChangedTensorIsNoticedAndTheOperationNamed) {
  Variable x = leaf({2.0});
  const Variable y = sum(square(x));
  x.mutable_value().fill(3.0);
  EXPECT_TRUE(refuses<Error>([&] { y.backward(); }, {"[square]", "written to", "(1) f64"}));
}

TEST(Saved, WritingThroughAViewCountsToo) {
  Variable x = leaf({2.0, 3.0});
  const Variable y = sum(exp(x));
  Tensor view = x.value().slice(0, 0, 1);
  view.fill(1.0);
  EXPECT_THROW(y.backward(), Error);
}

TEST(Engine, ChecksShapeAndDtypeOfEveryGradient) {
  const auto wrong = [](Tensor gradient) {
    const Variable x = leaf({1.0, 2.0});
    const Variable y = record("careless", {x}, x.value().clone(),
                              [gradient](const Tensor&, auto) { return std::vector{gradient}; });
    sum(y).backward();
  };
  EXPECT_NO_THROW(wrong(Tensor::zeros({2}, DType::f64)));
  EXPECT_NO_THROW(wrong(Tensor()));  // no gradient at all is allowed
  EXPECT_TRUE(refuses<Error>([&] { wrong(Tensor::zeros({3}, DType::f64)); },
                             {"[careless]", "(3) f64", "(2) f64"}));
  EXPECT_TRUE(refuses<Error>([&] { wrong(Tensor::zeros({2}, DType::f32)); },
                             {"[careless]", "(2) f32", "(2) f64"}));
  const Variable x = leaf({1.0});
  const Variable too_many = record("careless", {x}, x.value(), [](const Tensor& dy, auto) {
    return std::vector{dy, dy};
  });
  EXPECT_TRUE(refuses<Error>([&] { too_many.backward(); }, {"[careless]", "2 gradients for 1"}));
}

// x^2 with a gradient of the caller's choice.
DifferentiableFunction square_with(std::function<Tensor(const Tensor&, const Tensor&)> gradient) {
  return [gradient](const std::vector<Variable>& in) {
    return record("square with a mistake", {in[0]}, square(in[0].value()),
                  [gradient, x = in[0].value()](const Tensor& dy, auto) {
                    return std::vector{gradient(x, dy)};
                  });
  };
}

TEST(Gradcheck, PassesTheRightGradientAndFindsPlantedMistakes) {
  const std::vector<Tensor> at = {Tensor::from<double>({3}, Values{0.5, -1.0, 2.0})};
  const auto check = [&](std::function<Tensor(const Tensor&, const Tensor&)> gradient) {
    return gradcheck(square_with(std::move(gradient)), at);
  };
  EXPECT_TRUE(check([](auto& x, auto& dy) { return mul(affine(x, 2, 0), dy); }).ok);
  EXPECT_FALSE(check([](auto& x, auto& dy) { return mul(x, dy); }).ok);                 // a factor
  EXPECT_FALSE(check([](auto& x, auto& dy) { return mul(affine(x, -2, 0), dy); }).ok);  // a sign
  EXPECT_FALSE(check([](auto& x, auto&) { return affine(x, 2, 0); }).ok);  // dy left out
  EXPECT_FALSE(check([](auto&, auto&) { return Tensor(); }).ok);           // no gradient
  const GradcheckResult nan = check([](auto& x, auto&) {
    return Tensor::full(x.shape(), std::numeric_limits<double>::quiet_NaN(), DType::f64);
  });
  EXPECT_FALSE(nan.ok);
  EXPECT_NE(nan.message.find("element"), std::string::npos);
}

TEST(Gradcheck, FindsAMistakeThatTheSumOfTheOutputsHides) {
  // The softmax of anything sums to 1: with a cotangent of ones a gradient of 0 would pass.
  const auto f = [](const std::vector<Variable>& in) {
    return record("flat softmax", {in[0]}, softmax(Variable(in[0].value())).value(),
                  [x = in[0].value()](const Tensor&, auto) {
                    return std::vector{Tensor::zeros(x.shape(), DType::f64)};
                  });
  };
  EXPECT_FALSE(gradcheck(f, {Tensor::from<double>({3}, Values{0.1, 0.2, 0.3})}).ok);
}

TEST(Gradcheck, NoticesAFunctionThatIsNotReproducible) {
  int calls = 0;
  const auto f = [&calls](const std::vector<Variable>& in) {
    return affine(in[0], 1.0, static_cast<double>(++calls));
  };
  EXPECT_FALSE(gradcheck(f, {Tensor::zeros({1}, DType::f64)}).ok);
}

}  // namespace
}  // namespace basin

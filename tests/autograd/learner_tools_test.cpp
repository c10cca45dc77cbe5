// Anomaly mode, the graph as a picture, the time table and recomputation.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "autograd/anomaly.h"
#include "autograd/graph_export.h"
#include "autograd/node.h"
#include "autograd/operations.h"
#include "autograd/profiler.h"
#include "autograd/recompute.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace basin {
namespace {

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Anomaly, NamesTheOperationWhoseResultIsNotFiniteFirst) {
  const Variable x(Tensor::from<double>({3}, std::vector<double>{1.0, -1.0, 2.0}), true);
  const auto run = [&] { return sum(mul(log(x), x)); };
  EXPECT_TRUE(std::isnan(run().value().item()));
  const AnomalyMode anomaly;
  const std::string message = message_of([&] { (void)run(); });
  EXPECT_NE(message.find("'log'"), std::string::npos) << message;
  EXPECT_NE(message.find("element 1"), std::string::npos) << message;
}

TEST(Anomaly, NamesTheOperationWhoseGradientIsNotFinite) {
  // sqrt is finite at 0, its derivative is not.
  const Variable x(Tensor::from<double>({2}, std::vector<double>{1.0, 0.0}), true);
  const AnomalyMode anomaly;
  const Variable y = sum(sqrt(affine(x, 2.0, 0.0)));
  const std::string message = message_of([&] { y.backward(); });
  EXPECT_NE(message.find("'sqrt'"), std::string::npos) << message;
  EXPECT_NE(message.find("backward"), std::string::npos) << message;
}

TEST(Anomaly, HandsOutTheInputsOfTheOperation) {
  const Variable x(Tensor::from<double>({2}, std::vector<double>{1.0, -2.0}), true);
  const Variable y(Tensor::full({2}, 0.5, DType::f64), true);
  const AnomalyMode anomaly;
  try {
    (void)log(x);
    FAIL() << "nothing was thrown";
  } catch (const AnomalyError& error) {
    ASSERT_EQ(error.inputs().size(), 1u);
    EXPECT_TRUE(error.inputs()[0].same_as(x));
  }
  try {
    // sqrt is finite at 0, its derivative is not.
    const Variable zero(Tensor::zeros({2}, DType::f64), true);
    const Variable root = sqrt(mul(zero, y));
    sum(root).backward();
    FAIL() << "nothing was thrown";
  } catch (const AnomalyError& error) {
    ASSERT_EQ(error.inputs().size(), 1u);
    EXPECT_STREQ(error.inputs()[0].node()->name(), "mul");
  }
}

TEST(Anomaly, EndsWithItsScope) {
  const Variable x(Tensor::full({1}, -1.0, DType::f64), true);
  { const AnomalyMode anomaly; }
  EXPECT_NO_THROW((void)log(x));
}

TEST(GraphExport, ShowsOperationsLeavesAndArrows) {
  const Variable w(Tensor::full({2, 3}, 0.5, DType::f32), true);
  const Variable x(Tensor::full({4, 3}, 1.0, DType::f32));
  const Variable y = sum(mul(tanh(linear(x, w, Variable())), tanh(linear(x, w, Variable()))));
  const std::string dot = to_graphviz(y, {{"weight \"w\"", w}});
  EXPECT_EQ(dot.find("digraph"), 0u);
  EXPECT_NE(dot.find("linear\\n(4, 2) f32"), std::string::npos) << dot;
  EXPECT_NE(dot.find("weight \\\"w\\\" (2, 3) f32"), std::string::npos) << dot;
  const auto count = [&](const std::string& part) {
    std::size_t n = 0;
    for (std::size_t at = dot.find(part); at != std::string::npos; at = dot.find(part, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(count("shape=box"), 6u);      // 2 linear, 2 tanh, mul, sum
  EXPECT_EQ(count("shape=ellipse"), 1u);  // w once; x wants no gradient
  EXPECT_EQ(count(" -> "), 2u + 2u + 2u + 1u);
}

TEST(GraphExport, RefusesAPictureThatIsTooLarge) {
  Variable x(Tensor::full({1}, 1.0, DType::f32), true);
  for (int n = 0; n < 20; ++n) x = affine(x, 1.0, 0.0);
  EXPECT_NE(message_of([&] { (void)to_graphviz(x, {}, 10); }).find("more than 10"),
            std::string::npos);
}

TEST(Profiler, CountsCallsInBothPassesAndWritesAReadableTrace) {
  const Variable x(Tensor::full({8, 8}, 0.5, DType::f32), true);
  Profiler profiler;
  sum(tanh(tanh(x))).backward();
  std::size_t forward = 0;
  std::size_t backward = 0;
  for (const ProfileEvent& event : profiler.events()) {
    EXPECT_GE(event.duration, 0.0);
    if (std::string(event.name) == "tanh") {
      (event.phase == ProfilePhase::forward ? forward : backward) += 1;
    }
  }
  EXPECT_EQ(forward, 2u);
  EXPECT_EQ(backward, 2u);
  EXPECT_NE(profiler.table().find("tanh"), std::string::npos);
  const auto trace = nlohmann::json::parse(profiler.chrome_trace());
  EXPECT_EQ(trace["traceEvents"].size(), profiler.events().size());
  EXPECT_EQ(trace["traceEvents"][0]["ph"], "X");
}

TEST(Profiler, TimesNothingDuringAPause) {
  const Variable x(Tensor::full({8, 8}, 0.5, DType::f32), true);
  Profiler profiler;
  (void)tanh(x);
  {
    const ProfilerPause pause;
    (void)exp(x);
    const ProfiledScope scope("paused", ProfilePhase::other);
  }
  (void)sin(x);
  std::vector<std::string> names;
  for (const ProfileEvent& event : profiler.events()) {
    names.emplace_back(event.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"tanh", "sin"}));
  // What came in between belongs to nobody.
  const ProfileEvent& before = profiler.events().front();
  EXPECT_GT(profiler.events().back().start, before.start + before.duration);
}

TEST(Recompute, GivesTheSameBitsAndKeepsLess) {
  Rng rng(3);
  const Tensor start = rng.normal({16, 32}, 1.0, DType::f32);
  const Tensor weights = rng.normal({32, 32}, 0.2, DType::f32);
  const auto run = [&](bool again, std::size_t& kept) {
    Rng dropout_rng(5);
    const Variable x(start, true);
    const Variable w(weights.clone(), true);
    const auto layer = [&](const Variable& in) {
      const Variable h = tanh(linear(in, w, Variable()));
      return add(in, dropout(gelu(h), 0.3, dropout_rng.key(), dropout_rng.next_stream()));
    };
    const std::size_t before = cpu_allocator()->stats().active;
    Variable y = x;
    for (int n = 0; n < 6; ++n) y = again ? recompute(layer, y, &dropout_rng) : layer(y);
    kept = cpu_allocator()->stats().active - before;
    sum(square(y)).backward();
    EXPECT_EQ(dropout_rng.position(), 6u);
    return std::vector{x.grad().to_vector<float>(), w.grad().to_vector<float>()};
  };
  std::size_t kept_plain = 0;
  std::size_t kept_again = 0;
  const auto plain = run(false, kept_plain);
  EXPECT_EQ(plain, run(true, kept_again));
  EXPECT_LT(2 * kept_again, kept_plain);
}

TEST(Recompute, ReachesParametersEvenIfTheInputWantsNoGradient) {
  const Variable x(Tensor::full({2, 2}, 1.0, DType::f64));
  const Variable w(Tensor::full({2, 2}, 0.5, DType::f64), true);
  sum(recompute([&](const Variable& in) { return matmul(in, w); }, x, nullptr)).backward();
  EXPECT_EQ(w.grad().to_vector<double>(), std::vector<double>(4, 2.0));
}

}  // namespace
}  // namespace basin

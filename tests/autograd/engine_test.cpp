// The engine: the order of nodes, sums of gradients, long graphs, and what must be refused.
#include "autograd/engine.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <cmath>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "autograd/node.h"
#include "autograd/operations.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/rng.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin::test {
namespace {

using Log = std::vector<std::string>;

Variable leaf(const Shape& shape, double value, bool requires_grad = true) {
  return Variable(Tensor::full(shape, value, DType::f64), requires_grad);
}

std::vector<double> grad_of(const Variable& x) { return x.grad().to_vector<double>(); }

// The sum of the inputs; its backward pass writes `name` into the log.
Variable logged(const char* name, Log& log, const std::vector<Variable>& inputs) {
  Tensor total = inputs[0].value();
  for (std::size_t n = 1; n < inputs.size(); ++n) {
    total = add(total, inputs[n].value());
  }
  const std::size_t count = inputs.size();
  return record(name, inputs, total, [name, &log, count](const Tensor& dy, auto) {
    log.emplace_back(name);
    return std::vector<Tensor>(count, dy);
  });
}

// Runs f on a thread with a stack of 512 KiB, an eighth of what recursion over the graphs below
// would need at the very least; passes on what it throws.
void on_small_stack(const std::function<void()>& f) {
  struct Task {
    const std::function<void()>& function;
    std::exception_ptr error;
  } task{f, nullptr};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 512 * 1024), 0);
  pthread_t thread{};
  const auto body = [](void* argument) -> void* {
    auto* const own = static_cast<Task*>(argument);
    try {
      own->function();
    } catch (...) {
      own->error = std::current_exception();
    }
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, body, &task), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  if (task.error != nullptr) {
    std::rethrow_exception(task.error);
  }
}

constexpr int kLong = 100000;

TEST(Engine, GoesThroughALongChainOnASmallStack) {
  const std::size_t before = cpu_allocator()->stats().active;
  on_small_stack([] {
    Variable x = leaf({1}, 0.5);
    Variable y = x;
    for (int n = 0; n < kLong; ++n) {
      y = affine(y, 1.0, 1.0);
    }
    EXPECT_EQ(y.value().item(), 0.5 + kLong);
    y.backward({}, true);
    EXPECT_EQ(grad_of(x), std::vector<double>{1.0});
    y.backward();
    EXPECT_EQ(grad_of(x), std::vector<double>{2.0});
    y = Variable();  // takes the chain apart
  });
  EXPECT_EQ(cpu_allocator()->stats().active, before);
}

TEST(Engine, TakesALongChainApartThatWasNeverDifferentiated) {
  const std::size_t before = cpu_allocator()->stats().active;
  on_small_stack([] {
    Variable y = leaf({1}, 0.5);
    const Variable x = y;
    for (int n = 0; n < kLong; ++n) {
      y = n % 2 == 0 ? add(y, x) : mul(y, y);  // two edges, one or both into the chain
      if (n % 50 == 0) {
        y = affine(y, 1e-9, 0.0);
      }
    }
  });
  EXPECT_EQ(cpu_allocator()->stats().active, before);
}

TEST(Engine, SumsALongFanOnASmallStack) {
  on_small_stack([] {
    const Variable x = leaf({2}, 3.0);
    Variable total = leaf({2}, 0.0, false);
    for (int n = 0; n < kLong / 10; ++n) {
      total = add(total, x);
    }
    sum(total).backward();
    EXPECT_EQ(grad_of(x), std::vector<double>(2, kLong / 10));
  });
}

TEST(Engine, VisitsEachNodeOfADiamondOnce) {
  // 60 diamonds in a row have 2^60 paths; the gradient is their number, exactly.
  const Variable x = leaf({}, 1.0);
  Variable y = x;
  for (int n = 0; n < 60; ++n) {
    y = add(affine(y, 0.5, 0.0), affine(y, 1.5, 0.0));
  }
  y.backward();
  EXPECT_EQ(grad_of(x), std::vector<double>{0x1p60});
}

TEST(Engine, WaitsForEveryContributionAndGoesBackwardsInTime) {
  Log log;
  const Variable x = leaf({1}, 1.0);
  const Variable a = logged("a", log, {x});
  const Variable b = logged("b", log, {a});
  const Variable c = logged("c", log, {a, x});
  const Variable unused = logged("unused", log, {c});
  const Variable d = logged("d", log, {c, b});
  const Variable e = logged("e", log, {d, a, d});
  e.backward();
  EXPECT_EQ(log, (Log{"e", "d", "c", "b", "a"}));
  // Paths from e to x: two through d, each of b-a, c-a and c; and one from e through a.
  EXPECT_EQ(grad_of(x), std::vector<double>{7.0});
}

TEST(Engine, StartsWhereItIsAsked) {
  Log log;
  const Variable x = leaf({1}, 1.0);
  const Variable a = logged("a", log, {x});
  const Variable b = logged("b", log, {a});
  a.backward();
  EXPECT_EQ(log, Log{"a"});
  EXPECT_EQ(b.node()->released(), false);
}

TEST(Engine, AddsEveryUseOfAVariable) {
  const Variable x = leaf({3}, 2.0);
  sum(mul(mul(x, x), add(x, x))).backward();  // 2 x^3
  EXPECT_EQ(grad_of(x), std::vector<double>(3, 24.0));
  const Variable y = leaf({1}, 3.0);
  Log log;
  logged("five", log, {y, y, y, y, y}).backward();
  EXPECT_EQ(grad_of(y), std::vector<double>{5.0});
}

TEST(Engine, AccumulatesOverBackwardCallsWithoutSharing) {
  Variable x = leaf({2}, 1.0);
  const Variable y = leaf({2}, 1.0);
  const auto run = [&] { sum(add(x, y)).backward(); };
  run();  // x and y are handed the very same gradient
  run();
  EXPECT_EQ(grad_of(x), std::vector<double>(2, 2.0));
  EXPECT_EQ(grad_of(y), std::vector<double>(2, 2.0));
  x.clear_grad();
  EXPECT_FALSE(x.grad().defined());
  run();
  EXPECT_EQ(grad_of(x), std::vector<double>(2, 1.0));
  EXPECT_EQ(grad_of(y), std::vector<double>(2, 3.0));
  run();
  EXPECT_EQ(grad_of(x), std::vector<double>(2, 2.0));
  EXPECT_EQ(grad_of(y), std::vector<double>(2, 4.0));
}

TEST(Engine, DoesNotAddIntoTheFirstGradientWhichOthersMayHold) {
  const Variable x = leaf({2}, 1.0);
  const auto run = [&] { sum(affine(x, 3.0, 0.0)).backward(); };
  run();
  const Tensor first = x.grad();
  run();
  run();
  EXPECT_EQ(grad_of(x), std::vector<double>(2, 9.0));
  EXPECT_EQ(first.to_vector<double>(), std::vector<double>(2, 3.0));
}

// 2x and 3x from one node; the log says which gradients came.
std::vector<Variable> doubled_and_tripled(const Variable& x, Log& log) {
  return record_several(
      "both", {x}, {affine(x.value(), 2.0, 0.0), affine(x.value(), 3.0, 0.0)},
      [&log](std::span<const Tensor> dys, auto) {
        log.emplace_back(std::string(dys[0].defined() ? "2" : "-") +
                         (dys[1].defined() ? "3" : "-"));
        Tensor dx = Tensor::zeros({1}, DType::f64);
        dx = dys[0].defined() ? add(dx, affine(dys[0], 2.0, 0.0)) : dx;
        return std::vector{dys[1].defined() ? add(dx, affine(dys[1], 3.0, 0.0)) : dx};
      });
}

TEST(Engine, RunsANodeOfTwoResultsOnceWhenBothGradientsAreThere) {
  Log log;
  const Variable x = leaf({1}, 1.0);
  const std::vector<Variable> both = doubled_and_tripled(x, log);
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].node(), both[1].node());
  EXPECT_EQ(both[0].node()->results(), 2u);
  EXPECT_EQ(both[0].result(), 0u);
  EXPECT_EQ(both[1].result(), 1u);
  // 6 (2x)(3x)(3x): the second result has two uses.
  sum(mul(mul(both[0], both[1]), both[1])).backward();
  EXPECT_EQ(log, Log{"23"});
  EXPECT_EQ(grad_of(x), std::vector<double>{3 * 18.0});
}

TEST(Engine, TellsANodeWhichResultsHadNoPart) {
  for (const std::size_t used : {0u, 1u}) {
    Log log;
    const Variable x = leaf({1}, 1.0);
    const std::vector<Variable> both = doubled_and_tripled(x, log);
    both[used].backward();
    EXPECT_EQ(log, Log{used == 0 ? "2-" : "-3"});
    EXPECT_EQ(grad_of(x), std::vector<double>{used == 0 ? 2.0 : 3.0});
    EXPECT_TRUE(refuses<Error>([&] { both[1 - used].backward(); }, {"[both]", "second time"}));
  }
}

TEST(Engine, KeepsANodeOfTwoResultsForAsLongAsOneOfThemLives) {
  Log log;
  const Variable x = leaf({1}, 1.0);
  const Variable second = doubled_and_tripled(x, log)[1];
  second.backward({}, true);
  second.backward();
  EXPECT_EQ(grad_of(x), std::vector<double>{6.0});
  const NoGrad no_grad;
  for (const Variable& constant : doubled_and_tripled(x, log)) {
    EXPECT_EQ(constant.node(), nullptr);
  }
}

TEST(Engine, GivesALeafItsSeed) {
  const Variable x = leaf({1}, 4.0);
  x.backward();
  EXPECT_EQ(grad_of(x), std::vector<double>{1.0});
}

TEST(Engine, DoesNotChangeTheSeed) {
  const Variable x = leaf({2}, 1.0);
  const Tensor seed = Tensor::full({2}, 3.0, DType::f64);
  for (int n = 0; n < 3; ++n) {
    x.backward(seed);
    add(x, x).backward(seed);
  }
  EXPECT_EQ(grad_of(x), std::vector<double>(2, 27.0));
  EXPECT_EQ(seed.to_vector<double>(), std::vector<double>(2, 3.0));
}

TEST(Engine, FreesTheGraphUnlessItIsToBeKept) {
  const Variable x = leaf({1}, 2.0);
  const Variable y = mul(x, x);
  y.backward({}, true);
  y.backward({}, true);
  EXPECT_EQ(grad_of(x), std::vector<double>{8.0});
  y.backward();
  EXPECT_EQ(grad_of(x), std::vector<double>{12.0});
  EXPECT_TRUE(refuses<Error>([&] { y.backward(); }, {"[mul]", "second time", "retain_graph"}));
  EXPECT_EQ(grad_of(x), std::vector<double>{12.0});
  // A new graph over a part that was freed is no better.
  EXPECT_TRUE(refuses<Error>([&] { affine(y, 2.0, 0.0).backward(); }, {"[mul]", "second time"}));
}

TEST(Engine, ChecksTheSeed) {
  const Variable x = leaf({2, 3}, 1.0);
  const Variable y = mul(x, x);
  EXPECT_TRUE(refuses<Error>([&] { y.backward(); }, {"[backward]", "one element", "(2, 3) f64"}));
  EXPECT_TRUE(refuses<Error>([&] { y.backward(Tensor::zeros({3}, DType::f64)); },
                             {"[backward]", "(3) f64", "(2, 3) f64"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        y.backward(Tensor::zeros({2, 3}, DType::f32));
      },
      {"(2, 3) f32", "(2, 3) f64"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        x.detach().backward(Tensor::zeros({2, 3}, DType::f64));
      },
      {"[backward]", "requires a gradient", "(2, 3) f64"}));
  EXPECT_TRUE(refuses<Error>([] { Variable().backward(); }, {"undefined"}));
  y.backward(Tensor::full({2, 3}, 1.0, DType::f64));
  EXPECT_EQ(grad_of(x), std::vector<double>(6, 2.0)) << "refusals left the graph as it was";
}

TEST(Engine, ChecksEveryGradientAgainstItsInput) {
  const Variable x = leaf({3}, 1.0);
  const auto wrong = [&](const std::vector<Tensor>& gradients) {
    const Variable y = record("wrong", {x}, Tensor::zeros({}, DType::f64),
                              [gradients](const Tensor&, auto) { return gradients; });
    // Somewhere inside a graph, not at its end.
    return refuses<Error>([&] { affine(y, 2.0, 0.0).backward(); },
                          {"[wrong]", gradients.size() == 1 ? "gradient of input 0" : "for 1 input",
                           gradients.size() == 1 ? describe(gradients[0]) : "2 gradients"});
  };
  EXPECT_TRUE(wrong({Tensor::zeros({4}, DType::f64)}));
  EXPECT_TRUE(wrong({Tensor::zeros({}, DType::f64)}));
  EXPECT_TRUE(wrong({Tensor::zeros({3, 1}, DType::f64)}));
  EXPECT_TRUE(wrong({Tensor::zeros({3}, DType::f32)}));
  EXPECT_TRUE(wrong({Tensor::zeros({3}, DType::f64), Tensor::zeros({3}, DType::f64)}));
  EXPECT_FALSE(x.grad().defined());
}

TEST(Engine, TakesAnUndefinedGradientForNone) {
  Log log;
  const Variable x = leaf({2}, 1.0);
  const Variable y = leaf({2}, 1.0);
  const Variable before = logged("before", log, {x});
  const Variable z =
      record("half", {before, y}, Tensor::zeros({2}, DType::f64), [](const Tensor& dy, auto) {
        return std::vector<Tensor>{Tensor(), dy};
      });
  sum(z).backward();
  EXPECT_FALSE(x.grad().defined());
  EXPECT_EQ(log, Log{}) << "there is nothing to pass on";
  EXPECT_EQ(grad_of(y), std::vector<double>(2, 1.0));
}

TEST(Engine, TellsTheOperationWhichGradientsAreNeeded) {
  const Variable x = leaf({2}, 1.0);
  const Variable constant = leaf({2}, 1.0, false);
  std::vector<bool> seen;
  const Variable y = record("asks", {constant, x, Variable()}, Tensor::zeros({2}, DType::f64),
                            [&seen](const Tensor& dy, std::span<const bool> needed) {
                              seen.assign(needed.begin(), needed.end());
                              return std::vector<Tensor>{dy, dy, dy};
                            });
  sum(y).backward();
  EXPECT_EQ(seen, (std::vector<bool>{false, true, false}));
  EXPECT_FALSE(constant.grad().defined());
}

TEST(Engine, NamesTheRunningOperationOnlyWhileItRuns) {
  const Variable x = leaf({1}, 1.0);
  std::string seen;
  const auto make = [&](bool throws) {
    return record("speaks", {x}, Tensor::zeros({1}, DType::f64),
                  [&seen, throws](const Tensor& dy, auto) {
                    seen = running_node();
                    if (throws) {
                      fail("refused");
                    }
                    return std::vector<Tensor>{dy};
                  });
  };
  make(false).backward();
  EXPECT_EQ(seen, "speaks");
  EXPECT_STREQ(running_node(), "no operation");
  EXPECT_TRUE(refuses<Error>([&] { make(true).backward(); }, {"refused"}));
  EXPECT_STREQ(running_node(), "no operation");
  EXPECT_TRUE(grad_enabled()) << "the failed pass left recording off";
}

TEST(Engine, AddsInAnOrderThatDependsOnTheGraphAlone) {
  // Contributions of very different size: in f32 their sum shows the order of additions.
  const Tensor start = Rng(1).normal({64}, 1.0, DType::f32);
  const auto run = [&] {
    const Variable x(start, true);
    Variable total = mul(x, x);
    for (int n = 0; n < 40; ++n) {
      const Variable part = affine(sin(affine(x, 1.0 + n, 0.1)), std::pow(10.0, n % 9 - 4), 0.0);
      total = n % 3 == 0 ? add(part, total) : add(total, part);
    }
    sum(total).backward();
    return x.grad().clone();
  };
  const Tensor first = run();
  for (int n = 0; n < 5; ++n) {
    EXPECT_TRUE(same_bits(run(), first));
  }
}

TEST(Engine, ServesSeveralThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::vector<double> gradients(3, 0.0);
  for (std::size_t id = 0; id < gradients.size(); ++id) {
    threads.emplace_back([&gradients, id] {
      const Variable x = leaf({500}, static_cast<double>(id));
      for (int n = 0; n < 20; ++n) {
        sum(mul(x, x)).backward();
      }
      gradients[id] = grad_of(x)[499];
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(gradients, (std::vector<double>{0, 40, 80}));
}

}  // namespace
}  // namespace basin::test

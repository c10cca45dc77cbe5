#include "nn/optim/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autograd/operations.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::largest_difference;
using test::random_tensor;
using test::refuses;
using test::same_bits;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The update as the paper writes it, in double.
struct Plain {
  std::vector<double> p, m, v;
  explicit Plain(const Tensor& start)
      : p(start.to_vector<double>()), m(p.size(), 0.0), v(p.size(), 0.0) {}
  void step(const Tensor& gradient, double scale, double lr, const OptimizerOptions& o, int t) {
    const std::vector<double> raw = gradient.to_vector<double>();
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double g = raw[i] * scale;
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
      const double m_hat = m[i] / (1 - std::pow(o.beta1, t));
      const double v_hat = v[i] / (1 - std::pow(o.beta2, t));
      p[i] -= lr * o.weight_decay * p[i] + lr * m_hat / (std::sqrt(v_hat) + o.eps);
    }
  }
};

// Parameters of two shapes with gradients to order.
struct Problem {
  explicit Problem(DType dtype = DType::f64) {
    for (const Shape& shape : {Shape{3, 4}, Shape{5}}) {
      const std::uint64_t seed = 1 + variables.size();
      variables.emplace_back(random_tensor(shape, seed, dtype), true);
    }
  }
  std::vector<Parameter> parameters() const {
    return {{"first", variables[0]}, {"second", variables[1]}};
  }
  void set_gradients(std::uint64_t seed, double size = 1.0) {
    for (Variable& v : variables) {
      v.clear_grad();
      v.add_grad(Rng(++seed).normal(v.shape(), size, v.dtype()));
    }
  }
  double norm() const {
    double squares = 0;
    for (const Variable& v : variables) {
      for (const double g : v.grad().to_vector<double>()) {
        squares += g * g;
      }
    }
    return std::sqrt(squares);
  }
  std::vector<Tensor> values() const {
    return {variables[0].value().clone(), variables[1].value().clone()};
  }
  std::vector<Variable> variables;
};

std::vector<Tensor> moments_of(const AdamW& optimizer) {
  std::vector<Tensor> all;
  for (const AdamW::State& moments : optimizer.states()) {
    all.push_back(moments.slots[0].clone());
    all.push_back(moments.slots[1].clone());
  }
  return all;
}

// Gradient norms below, around and above the clipping norm; each option away from its default.
void follow_plain(DType dtype, const OptimizerOptions& options, double tolerance) {
  Problem problem(dtype);
  std::vector<Plain> plain;
  for (const Variable& v : problem.variables) {
    plain.emplace_back(v.value());
  }
  AdamW optimizer(problem.parameters(), options);
  for (int t = 1; t <= 12; ++t) {
    problem.set_gradients(static_cast<std::uint64_t>(100 * t), 0.02 * t * t);
    const double norm = problem.norm();
    const double lr = 0.1 / t;
    const double scale =
        options.clip_norm > 0 ? std::min(1.0, options.clip_norm / (norm + 1e-6)) : 1.0;
    for (std::size_t n = 0; n < plain.size(); ++n) {
      plain[n].step(problem.variables[n].grad(), scale, lr, options, t);
    }
    EXPECT_TRUE(std::abs(optimizer.step(lr) / norm - 1) <= 1e-12);
    EXPECT_EQ(optimizer.steps(), t);
    for (std::size_t n = 0; n < plain.size(); ++n) {
      const Shape& shape = problem.variables[n].shape();
      EXPECT_TRUE(largest_difference(problem.variables[n].value(),
                                     Tensor::from<double>(shape, plain[n].p)) <= tolerance)
          << t;
      EXPECT_TRUE(largest_difference(optimizer.states()[n].slots[0],
                                     Tensor::from<double>(shape, plain[n].m)) <= tolerance);
      EXPECT_TRUE(largest_difference(optimizer.states()[n].slots[1],
                                     Tensor::from<double>(shape, plain[n].v)) <= tolerance);
    }
  }
}

TEST(AdamW, FollowsItsDefinition) {
  for (const double clip : {0.0, 0.5, 1e9}) {
    for (const double decay : {0.0, 0.3}) {
      OptimizerOptions options;
      options.beta1 = 0.85;
      options.beta2 = 0.97;
      options.eps = 1e-3;
      options.weight_decay = decay;
      options.clip_norm = clip;
      // Numbers of size 1 (the squares of large gradients: up to 20), a few roundings per step.
      follow_plain(DType::f64, options, 1e-13);
      follow_plain(DType::f32, options, 2e-5);
    }
  }
}

TEST(AdamW, ClipsTheNormOverAllParametersTogether) {
  OptimizerOptions options;
  options.clip_norm = 1.0;
  options.beta1 = 0.0;  // m is then the clipped gradient itself
  Problem problem;
  AdamW optimizer(problem.parameters(), options);
  problem.set_gradients(7, 10.0);
  const double norm = problem.norm();
  ASSERT_GT(norm, 10.0);
  const Tensor gradient = problem.variables[0].grad().clone();
  EXPECT_TRUE(std::abs(optimizer.step(1e-3) / norm - 1) <= 1e-14);
  double squares = 0;
  for (const AdamW::State& moments : optimizer.states()) {
    for (const double g : moments.slots[0].to_vector<double>()) {
      squares += g * g;
    }
  }
  // The 1e-6 in the denominator makes it smaller by 1e-6 / norm.
  EXPECT_TRUE(std::abs(std::sqrt(squares) - 1.0) <= 1e-6);
  EXPECT_TRUE(same_bits(problem.variables[0].grad(), gradient)) << "the gradient was changed";
}

TEST(AdamW, EveryOptionChangesTheUpdate) {
  const auto after = [](const OptimizerOptions& options) {
    Problem problem;
    AdamW optimizer(problem.parameters(), options);
    for (std::uint64_t t = 0; t < 3; ++t) {
      problem.set_gradients(10 * t, 3.0);
      optimizer.step(0.1);
    }
    return problem.variables[0].value().clone();
  };
  const Tensor plain = after({});
  const auto differs = [&](const auto& change) {
    OptimizerOptions options;
    change(options);
    return largest_difference(after(options), plain) >= 1e-4;
  };
  EXPECT_TRUE(differs([](auto& o) { o.beta1 = 0.5; }));
  EXPECT_TRUE(differs([](auto& o) { o.beta2 = 0.5; }));
  EXPECT_TRUE(differs([](auto& o) { o.eps = 0.1; }));
  EXPECT_TRUE(differs([](auto& o) { o.weight_decay = 0.5; }));
  EXPECT_TRUE(differs([](auto& o) {
    o.clip_norm = 0.05;
    o.eps = 0.1;  // otherwise the update hardly depends on the size of the gradient
  }));
  OptimizerOptions unclipped;
  unclipped.eps = 0.1;
  OptimizerOptions clipped = unclipped;
  clipped.clip_norm = 0.05;
  EXPECT_TRUE(largest_difference(after(unclipped), after(clipped)) >= 1e-4);
}

TEST(AdamW, LeavesAParameterWithoutAGradientAlone) {
  Problem problem;
  AdamW optimizer(problem.parameters(), {});
  problem.set_gradients(1);
  problem.variables[1].clear_grad();
  const std::vector<Tensor> before = problem.values();
  optimizer.step(0.1);
  EXPECT_FALSE(same_bits(problem.variables[0].value(), before[0]));
  EXPECT_TRUE(same_bits(problem.variables[1].value(), before[1])) << "decayed all the same";
  EXPECT_TRUE(same_bits(optimizer.states()[1].slots[1], Tensor::zeros({5}, DType::f64)));
}

TEST(AdamW, AGradientThatIsNotFiniteChangesNothing) {
  for (const double bad : {kNaN, kInf, -kInf}) {
    Problem problem;
    AdamW optimizer(problem.parameters(), {});
    problem.set_gradients(1);
    optimizer.step(0.1);
    problem.set_gradients(2);
    Tensor poisoned = problem.variables[1].grad().clone();
    poisoned.mutable_data<double>()[3] = bad;
    problem.variables[1].clear_grad();
    problem.variables[1].add_grad(poisoned);
    const std::vector<Tensor> values = problem.values();
    const std::vector<Tensor> moments = moments_of(optimizer);
    EXPECT_FALSE(std::isfinite(optimizer.step(0.1)));
    EXPECT_TRUE(same_bits(problem.values(), values));
    EXPECT_TRUE(same_bits(moments_of(optimizer), moments));
    EXPECT_EQ(optimizer.steps(), 1);
  }
}

TEST(AdamW, ReadsGradientsThatAreViews) {
  const Variable plain(random_tensor({3, 4}, 1), true);
  const Variable turned(random_tensor({3, 4}, 1), true);
  const Tensor gradient = random_tensor({3, 4}, 2);
  Variable(plain).add_grad(gradient);
  Variable(turned).add_grad(gradient.transpose(0, 1).contiguous().transpose(0, 1));
  AdamW first({{"x", plain}}, {});
  AdamW second({{"x", turned}}, {});
  first.step(0.1);
  second.step(0.1);
  EXPECT_TRUE(same_bits(plain.value(), turned.value()));
}

TEST(AdamW, WithoutAnyGradientNothingMoves) {
  Problem problem;
  AdamW optimizer(problem.parameters(), {});
  const std::vector<Tensor> before = problem.values();
  EXPECT_EQ(optimizer.step(0.1), 0.0);
  EXPECT_TRUE(same_bits(problem.values(), before));
}

TEST(AdamW, RestoreContinuesBitForBit) {
  const auto advance = [](Problem& problem, AdamW& optimizer, std::uint64_t from,
                          std::uint64_t to) {
    for (std::uint64_t t = from; t < to; ++t) {
      problem.set_gradients(10 * t);
      optimizer.step(0.1);
    }
  };
  Problem whole;
  AdamW straight(whole.parameters(), {});
  advance(whole, straight, 0, 6);

  Problem first;
  AdamW before(first.parameters(), {});
  advance(first, before, 0, 3);
  Problem second;
  for (std::size_t n = 0; n < 2; ++n) {
    second.variables[n].mutable_value().copy_from(first.variables[n].value());
  }
  AdamW after(second.parameters(), {});
  after.restore(before.steps(), before.states());
  advance(second, after, 3, 6);
  EXPECT_TRUE(same_bits(second.values(), whole.values()));
  EXPECT_TRUE(same_bits(moments_of(after), moments_of(straight)));
  EXPECT_EQ(after.steps(), straight.steps());
  // What was restored is a copy: stepping the one has not moved the other.
  EXPECT_EQ(before.steps(), 3);
  EXPECT_FALSE(same_bits(moments_of(before), moments_of(after)));
}

TEST(Sgd, RestoresItsOwnStateAndRefusesThatOfAdam) {
  Problem problem;
  OptimizerOptions options;
  options.kind = OptimizerKind::sgd;
  const auto sgd = make_optimizer(problem.parameters(), options);
  problem.set_gradients(1);
  sgd->step(0.1);
  const auto again = make_optimizer(problem.parameters(), options);
  again->restore(sgd->steps(), sgd->states());
  EXPECT_TRUE(same_bits(again->states()[0].slots[0], sgd->states()[0].slots[0]));
  const AdamW adam(problem.parameters(), {});
  EXPECT_TRUE(refuses<Error>([&] { again->restore(1, adam.states()); }, {"does not fit"}));
}

TEST(Optimizer, EveryOptionChangesTheUpdate) {
  const auto after = [](const OptimizerOptions& options) {
    Problem problem;
    const auto optimizer = make_optimizer(problem.parameters(), options);
    for (int step = 1; step <= 3; ++step) {
      problem.set_gradients(static_cast<std::uint64_t>(step));
      optimizer->step(0.1);
    }
    return problem.parameters()[0].variable.value().to_vector<double>();
  };
  OptimizerOptions sgd;
  sgd.kind = OptimizerKind::sgd;
  OptimizerOptions adam;
  adam.kind = OptimizerKind::adam;
  EXPECT_NE(after({}), after(adam));
  EXPECT_NE(after({}), after(sgd));
  const auto changes = [&](OptimizerOptions from, const auto& change) {
    const std::vector<double> before = after(from);
    change(from);
    EXPECT_NE(before, after(from));
  };
  changes(sgd, [](OptimizerOptions& o) { o.momentum = 0.5; });
  changes(sgd, [](OptimizerOptions& o) { o.nesterov = true; });
  changes(sgd, [](OptimizerOptions& o) { o.weight_decay = 0.3; });
  changes(sgd, [](OptimizerOptions& o) { o.clip_norm = 0.01; });
  changes(adam, [](OptimizerOptions& o) { o.weight_decay = 0.3; });
  changes(adam, [](OptimizerOptions& o) { o.beta1 = 0.5; });
}

TEST(AdamW, RestoreRefusesTheMomentsOfOtherParametersAndChangesNothing) {
  Problem problem;
  AdamW optimizer(problem.parameters(), {});
  problem.set_gradients(1);
  optimizer.step(0.1);
  const std::vector<Tensor> before = moments_of(optimizer);
  const auto attempt = [&](const auto& change) {
    return [&optimizer, change] {
      std::vector<AdamW::State> moments;
      for (const AdamW::State& own : optimizer.states()) {
        moments.push_back({own.name,
                           {Tensor::full(own.slots[0].shape(), 9.0, own.slots[0].dtype()),
                            Tensor::full(own.slots[1].shape(), 9.0, own.slots[1].dtype())}});
      }
      change(moments);
      optimizer.restore(5, moments);
    };
  };
  EXPECT_TRUE(
      refuses<Error>(attempt([](auto& m) { m.pop_back(); }), {"states of 1 parameters for 2"}));
  EXPECT_TRUE(
      refuses<Error>(attempt([](auto& m) { m[1].name = "third"; }), {"'third'", "'second'"}));
  EXPECT_TRUE(
      refuses<Error>(attempt([](auto& m) { m[1].slots[0] = Tensor::zeros({6}, DType::f64); }),
                     {"(6) f64", "(5) f64"}));
  EXPECT_TRUE(
      refuses<Error>(attempt([](auto& m) { m[1].slots[1] = Tensor::zeros({6}, DType::f64); }),
                     {"'second'", "(6) f64"}));
  EXPECT_TRUE(refuses<Error>(attempt([](auto& m) { m[0].slots[0] = m[0].slots[0].to(DType::f32); }),
                             {"(3, 4) f32", "(3, 4) f64"}));
  EXPECT_TRUE(same_bits(moments_of(optimizer), before));
  EXPECT_EQ(optimizer.steps(), 1);
}

TEST(AdamW, RefusesOptionsThatCannotBe) {
  const auto attempt = [](const auto& change) {
    return [change] {
      OptimizerOptions options;
      change(options);
      Problem problem;
      AdamW optimizer(problem.parameters(), options);
    };
  };
  for (const double bad : {-0.1, 1.0, kNaN}) {
    EXPECT_TRUE(
        refuses<Error>(attempt([bad](auto& o) { o.beta1 = bad; }), {"[Optimizer]", "beta1"}));
    EXPECT_TRUE(
        refuses<Error>(attempt([bad](auto& o) { o.beta2 = bad; }), {"[Optimizer]", "beta2"}));
  }
  for (const double bad : {-0.1, kNaN}) {
    EXPECT_TRUE(refuses<Error>(attempt([bad](auto& o) { o.eps = bad; }), {"[Optimizer]", "eps"}));
    EXPECT_TRUE(
        refuses<Error>(attempt([bad](auto& o) { o.weight_decay = bad; }), {"weight_decay"}));
    EXPECT_TRUE(refuses<Error>(attempt([bad](auto& o) { o.clip_norm = bad; }), {"clip_norm"}));
  }
  EXPECT_TRUE(refuses<Error>(attempt([](auto& o) { o.eps = 0.0; }), {"eps"}));
}

}  // namespace
}  // namespace basin::nn

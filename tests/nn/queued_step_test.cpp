// Optimizer steps that nobody waits for, and draws whose number lies on the device: the same as
// those that the host decides.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <vector>

#include "autograd/operations.h"
#include "nn/layers/retriever.h"
#include "nn/optim/optimizer.h"
#include "tensor/error.h"
#include "tensor/functions/retrieval.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/small_models.h"

namespace basin::nn {
namespace {

using test::random_tensor;
using test::refuses;
using test::same_bits;

struct Problem {
  Problem() {
    for (const Shape& shape : {Shape{3, 4}, Shape{5}}) {
      weights.emplace_back(random_tensor(shape, 1 + weights.size(), DType::f32).to(Device::simt),
                           true);
    }
  }
  std::vector<Parameter> parameters() const { return {{"a", weights[0]}, {"b", weights[1]}}; }
  void set_gradients(std::uint64_t seed, double size) {
    for (Variable& weight : weights) {
      weight.clear_grad();
      weight.add_grad(Rng(++seed).normal(weight.shape(), size, DType::f32).to(Device::simt));
    }
  }
  std::vector<Tensor> values() const {
    std::vector<Tensor> all;
    for (const Variable& weight : weights) {
      all.push_back(weight.value().to(Device::cpu).clone());
    }
    return all;
  }
  std::vector<Variable> weights;
};

Tensor on_simt(double value) { return Tensor::full({}, value, DType::f64, Device::simt); }

TEST(QueuedStep, IsTheStepThatIsWaitedFor) {
  for (const OptimizerKind kind : {OptimizerKind::adamw, OptimizerKind::adam, OptimizerKind::sgd}) {
    SCOPED_TRACE(name_of(kind));
    OptimizerOptions options;
    options.kind = kind;
    Problem waited;
    Problem queued;
    const auto by = make_optimizer(waited.parameters(), options);
    const auto other = make_optimizer(queued.parameters(), options);
    for (std::uint64_t n = 1; n < 6; ++n) {
      const double rate = 0.1 / static_cast<double>(n);
      waited.set_gradients(10 * n, 0.1 * static_cast<double>(n));
      queued.set_gradients(10 * n, 0.1 * static_cast<double>(n));
      const double norm = by->step(rate);
      EXPECT_EQ(other->queue_step({on_simt(rate), {}, {}}).item(), norm);
      other->count(1);
      EXPECT_EQ(other->steps(), by->steps());
      EXPECT_TRUE(same_bits(queued.values(), waited.values())) << n;
    }
    // Both kinds can follow each other, and a state that was read back.
    const auto third = make_optimizer(queued.parameters(), options);
    third->restore(other->steps(), other->states());
    waited.set_gradients(7, 1);
    queued.set_gradients(7, 1);
    (void)by->step(0.1);
    (void)third->queue_step({on_simt(0.1), {}, {}});
    EXPECT_TRUE(same_bits(queued.values(), waited.values()));
  }
}

TEST(QueuedStep, StopsForANumberThatIsWatched) {
  Problem problem;
  AdamW optimizer(problem.parameters(), {});
  Tensor halted = Tensor::zeros({}, DType::i64, Device::simt);
  const std::vector<Tensor> before = problem.values();
  problem.set_gradients(1, 1);
  const double nan = std::nan("");
  const Tensor norm = optimizer.queue_step({on_simt(0.1), on_simt(nan), halted});
  EXPECT_TRUE(std::isfinite(norm.item()));
  EXPECT_TRUE(same_bits(problem.values(), before));
  (void)optimizer.queue_step({on_simt(0.1), on_simt(1), halted});
  EXPECT_TRUE(same_bits(problem.values(), before)) << "behind a step that was not finite";
  halted.fill(0);
  (void)optimizer.queue_step({on_simt(0.1), on_simt(1), halted});
  EXPECT_FALSE(same_bits(problem.values(), before));
  Problem other;
  AdamW first(other.parameters(), {});
  other.set_gradients(1, 1);
  (void)first.step(0.1);
  EXPECT_TRUE(same_bits(problem.values(), other.values())) << "the steps that stopped were counted";
}

TEST(QueuedStep, NeedsGradientsOnADevice) {
  Problem problem;
  AdamW without(problem.parameters(), {});
  EXPECT_TRUE(refuses<Error>(
      [&] {
        (void)without.queue_step({on_simt(0.1), {}, {}});
      },
      {"gradients"}));
  const Variable here(random_tensor({3}, 1), true);
  Variable(here).add_grad(random_tensor({3}, 2));
  AdamW on_cpu({{"x", here}}, {});
  EXPECT_TRUE(refuses<Error>(
      [&] {
        (void)on_cpu.queue_step({Tensor::full({}, 1, DType::f64), {}, {}});
      },
      {"device"}));
}

TEST(KeysInMemory, DrawWhatTheNumbersDraw) {
  for (const Device device : {Device::cpu, Device::simt}) {
    for (const Separation separation : {Separation::softmax, Separation::sparsemax}) {
      for (const MaskGrain grain : {MaskGrain::element, MaskGrain::tile}) {
        RetrievalInputs in;
        in.q = random_tensor({1, 2, 70, 4}, 1).to(device);
        in.k = random_tensor({1, 2, 80, 4}, 2).to(device);
        in.v = random_tensor({1, 2, 80, 4}, 3).to(device);
        in.beta = Tensor::full({2}, 0.7, DType::f64, device);
        in.options.separation = separation;
        in.options.random_grain = grain;
        const auto out_of = [&](double keep, double dropout) {
          in.options.random_keep = keep;
          in.options.weight_dropout = dropout;
          in.random_key = 0x123456789ABCDEFu;
          in.dropout_key = 0xFEDCBA987654321u;
          in.random_key_there = in.dropout_key_there = Tensor();
          const Tensor expected = retrieval(in).out.to(Device::cpu);
          const auto there = [&](std::uint64_t& key) {
            const auto bits = static_cast<std::int64_t>(key);
            key = 7;  // must not be looked at
            return Tensor::from<std::int64_t>({}, std::vector<std::int64_t>{bits}).to(device);
          };
          in.random_key_there = there(in.random_key);
          in.dropout_key_there = there(in.dropout_key);
          return same_bits(retrieval(in).out.to(Device::cpu), expected);
        };
        EXPECT_TRUE(out_of(0.5, 0.0)) << name_of(device);
        if (grain == MaskGrain::element) {
          EXPECT_TRUE(out_of(1.0, 0.3)) << name_of(device);
          EXPECT_TRUE(out_of(0.5, 0.3)) << name_of(device);
        }
      }
    }
  }
}

// Masks of keys and of weights, and features that are drawn anew.
TEST(DrawsOnADevice, AreThoseOfTheHost) {
  std::vector<AssociationOptions> all(3);
  all[0].random_keep = 0.5;
  all[1].weight_dropout = 0.4;
  all[2].separation = Separation::random_features;
  all[2].redraw_every = 1;
  for (std::size_t n = 0; n < all.size(); ++n) {
    SCOPED_TRACE(n);
    const Variable q(random_tensor({2, 2, 5, 4}, 1).to(Device::simt), true);
    const Variable k(random_tensor({2, 2, 6, 4}, 2).to(Device::simt), true);
    const Variable v(random_tensor({2, 2, 6, 4}, 3).to(Device::simt), true);
    const auto read = [&](bool has_offset) {
      Rng weights(1);
      Rng draws(2);
      Retriever layer(2, 4, all[n], weights, &draws, DType::f64);
      layer.to(Device::simt);
      (void)draws.next_stream();
      (void)draws.next_stream();
      std::vector<Tensor> results;
      for (int call = 0; call < 3; ++call) {
        const Tensor offset =
            Tensor::from<std::int64_t>(
                {}, std::vector<std::int64_t>{static_cast<std::int64_t>(draws.position())})
                .to(Device::simt);
        std::optional<Rng::ScopedOffset> scope;
        if (has_offset) {
          scope.emplace(draws, offset);
        }
        for (Variable x : {q, k, v}) {
          x.clear_grad();
        }
        const Variable out = layer.forward(q, k, v);
        sum(square(out)).backward();
        results.push_back(out.value().to(Device::cpu));
        for (const Variable& x : {q, k, v}) {
          results.push_back(x.grad().to(Device::cpu));
        }
      }
      EXPECT_FALSE(same_bits(results[0], results[4])) << "nothing is drawn";
      return results;
    };
    EXPECT_TRUE(same_bits(read(true), read(false)));
  }
}

}  // namespace
}  // namespace basin::nn

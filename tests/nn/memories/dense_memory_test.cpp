// Dense associative memory: reference vectors, XOR, energies, batches.
#include "nn/memories/dense.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "nn/memories/binary_patterns.h"
#include "nn/memories/classical.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tests/support/expect_error.h"
#include "tests/support/golden.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"

namespace basin::nn {
namespace {

using test::GoldenGroup;
using test::refuses;
using test::same_bits;

using Integers = std::vector<std::int64_t>;

Tensor signs(const Shape& shape, std::uint64_t seed, DType dtype = DType::f32) {
  Rng rng(seed);
  return random_signs(shape, rng, dtype);
}

TEST(DenseMemory, OneSweepOfTheReferenceVectors) {
  for (const char* name : {"2", "3", "10"}) {
    const GoldenGroup g(std::string("/memory/dense_rectified_polynomial") + name, DType::f64);
    const auto degree = static_cast<std::int64_t>(g.number("degree"));
    const DenseMemory memory(g.tensor("patterns"), Interaction::rectified, degree);
    RecallOptions options;
    options.order = RecallOrder::index;
    options.most_sweeps = 1;
    const Recall found = memory.recall(g.tensor("queries"), options);
    EXPECT_TRUE(same_bits(found.states, g.tensor("after_one_sweep")));
    // There the powers are not scaled.
    const double scale = std::pow(40.0, static_cast<double>(degree));
    EXPECT_TRUE(g.agrees(affine(memory.energy(g.tensor("queries")), scale, 0.0), "energy_before"));
    EXPECT_TRUE(g.agrees(affine(memory.energy(found.states), scale, 0.0), "energy_after"));
  }
}

struct Kind {
  Interaction interaction;
  std::int64_t degree;
};

TEST(DenseMemory, SweepsNeverRaiseTheEnergyOfTenThousandStates) {
  for (const Kind kind : {Kind{Interaction::power, 2}, Kind{Interaction::power, 3},
                          Kind{Interaction::rectified, 4}, Kind{Interaction::exponential, 1}}) {
    const DenseMemory memory(signs({1, 20, 24}, 1, DType::f64), kind.interaction, kind.degree);
    const RecallTrace trace = memory.trace(signs({1, 10000, 24}, 2, DType::f64));
    const Shape energies{trace.energies.size(0), 10000};
    const std::vector<double> e = trace.energies.reshape(energies).to_vector<double>();
    std::int64_t fell = 0;
    for (std::size_t n = 10000; n < e.size(); ++n) {
      // Both sides are sums of 20 rounded terms.
      ASSERT_LE(e[n], e[n - 10000] + 1e-13 * std::abs(e[n])) << name_of(kind.interaction);
      fell += e[n] < e[n - 10000] ? 1 : 0;
    }
    EXPECT_GT(fell, 9000) << name_of(kind.interaction);
  }
}

// The third unit of (---), (-++), (+-+), (++-) is the exclusive or of the first two.
TEST(DenseMemory, SolvesExclusiveOrWhereItCan) {
  const Tensor patterns =
      Tensor::from(Shape{4, 3}, std::vector<double>{-1, -1, -1, -1, 1, 1, 1, -1, 1, 1, 1, -1});
  // The third unit is asked for: it alone is updated, as the last one of a sweep over states whose
  // first two units are what they should be. (Whether those would stay is another question.)
  const auto third = [&](const Kind& kind, double a, double b, double start) {
    const DenseMemory memory(patterns, kind.interaction, kind.degree);
    const auto energy = [&](double c) {
      return memory.energy(Tensor::from(Shape{1, 3}, std::vector<double>{a, b, c})).item();
    };
    const double on = energy(1);
    const double off = energy(-1);
    return std::abs(on - off) <= 1e-13 * std::abs(on) ? start : (on < off ? 1.0 : -1.0);
  };
  const auto solves = [&](const Kind& kind) {
    bool right = true;
    for (const double a : {-1.0, 1.0}) {
      for (const double b : {-1.0, 1.0}) {
        for (const double start : {-1.0, 1.0}) {
          right = right && third(kind, a, b, start) == (a == b ? -1 : 1);
        }
      }
    }
    return right;
  };
  // A tie keeps whatever the third unit was.
  const auto ties = [&](const Kind& kind) {
    bool kept = true;
    for (const double a : {-1.0, 1.0}) {
      for (const double b : {-1.0, 1.0}) {
        for (const double start : {-1.0, 1.0}) {
          kept = kept && third(kind, a, b, start) == start;
        }
      }
    }
    return kept;
  };
  for (std::int64_t n = 2; n <= 30; ++n) {
    EXPECT_TRUE(solves({Interaction::rectified, n})) << n;
    EXPECT_EQ(solves({Interaction::power, n}), n % 2 == 1) << n;
    EXPECT_EQ(ties({Interaction::power, n}), n % 2 == 0) << n;
  }
  EXPECT_TRUE(solves({Interaction::exponential, 1}));

  // The same by recall: the four rows are the fixed points where it can be solved, and each wrong
  // row is where even powers leave it.
  const Tensor wrong = affine(patterns, -1.0, 0.0);
  RecallOptions options;
  options.order = RecallOrder::index;
  EXPECT_TRUE(
      same_bits(DenseMemory(patterns, Interaction::power, 1).recall(wrong, options).states, wrong));
  for (std::int64_t n = 2; n <= 9; ++n) {
    for (const Interaction interaction : {Interaction::power, Interaction::rectified}) {
      const DenseMemory memory(patterns, interaction, n);
      EXPECT_TRUE(same_bits(memory.recall(patterns, options).states, patterns));
      const bool stays = same_bits(memory.recall(wrong, options).states, wrong);
      EXPECT_EQ(stays, interaction == Interaction::power && n % 2 == 0) << n;
    }
  }
}

// z^2 is the Hebbian network without its diagonal.
TEST(DenseMemory, OfDegreeTwoIsTheClassicalNetwork) {
  const Tensor patterns = signs({2, 15, 60}, 3);
  const Tensor queries = signs({2, 40, 60}, 4);
  const Recall dense = DenseMemory(patterns, Interaction::power, 2).recall(queries);
  const Recall classical = ClassicalMemory(patterns).recall(queries);
  EXPECT_TRUE(same_bits(dense.states, classical.states));
  EXPECT_TRUE(same_bits(dense.sweeps, classical.sweeps));
}

TEST(DenseMemory, SteeperInteractionsHoldMorePatterns) {
  const Tensor patterns = signs({200, 64}, 5);
  Rng rng(6);
  const Tensor queries = flip_units(patterns, 6, rng);
  const auto exact = [&](Interaction interaction, std::int64_t degree) {
    const DenseMemory memory(patterns, interaction, degree);
    int count = 0;
    for (const double share :
         equal_units(memory.recall(queries).states, patterns).to_vector<double>()) {
      count += share == 1.0 ? 1 : 0;
    }
    return count;
  };
  EXPECT_LT(exact(Interaction::rectified, 2), 20);
  EXPECT_GT(exact(Interaction::rectified, 4), 180);
  EXPECT_EQ(exact(Interaction::exponential, 1), 200);
}

// e^1000 and 1000^300 are beyond all numbers.
TEST(DenseMemory, LargeNetworksDoNotOverflow) {
  const Tensor patterns = signs({5, 1000}, 7);
  Rng rng(8);
  const Tensor queries = flip_units(patterns, 200, rng);
  for (const Kind kind : {Kind{Interaction::exponential, 1}, Kind{Interaction::rectified, 300}}) {
    const DenseMemory memory(patterns, kind.interaction, kind.degree);
    EXPECT_TRUE(same_bits(memory.recall(queries).states, patterns));
    for (const double energy : memory.energy(queries).to_vector<double>()) {
      EXPECT_TRUE(std::isfinite(energy));
    }
  }
}

TEST(DenseMemory, MemoriesQueriesAndThreadsDoNotMeet) {
  const Tensor patterns = signs({3, 50, 40}, 9);
  const Tensor queries = signs({3, 9, 40}, 10);
  const auto run = [&](const Tensor& xi, const Tensor& x, int threads) {
    const test::ScopedThreads scope(threads);
    return DenseMemory(xi, Interaction::rectified, 3).recall(x).states;
  };
  const Tensor all = run(patterns, queries, 1);
  EXPECT_TRUE(same_bits(all, run(patterns, queries, 3)));
  Tensor other_patterns = patterns.clone();
  other_patterns.select(0, 2).copy_from(signs({50, 40}, 11));
  Tensor other_queries = queries.clone();
  other_queries.select(0, 1).select(0, 5).copy_from(signs({40}, 12));
  const Tensor changed = run(other_patterns, other_queries, 1);
  for (std::int64_t b = 0; b < 3; ++b) {
    for (std::int64_t q = 0; q < 9; ++q) {
      const bool same = same_bits(all.select(0, b).select(0, q), changed.select(0, b).select(0, q));
      EXPECT_TRUE(same || b == 2 || (b == 1 && q == 5)) << b << ", " << q;
    }
  }
  const Tensor counts = Tensor::from(Shape{3}, Integers{50, 7, 0});
  const Tensor counted =
      DenseMemory(patterns, Interaction::rectified, 3, counts).recall(queries).states;
  EXPECT_TRUE(same_bits(counted.select(0, 0), all.select(0, 0)));
  EXPECT_TRUE(same_bits(counted.select(0, 2), queries.select(0, 2)));
  EXPECT_FALSE(same_bits(counted.select(0, 1), all.select(0, 1)));
}

TEST(DenseMemory, RefusesWhatDoesNotFit) {
  const Tensor patterns = signs({5, 16}, 1);
  EXPECT_TRUE(refuses<Error>([&] { DenseMemory m(patterns, Interaction::power, 0); }, {"degree"}));
  EXPECT_TRUE(
      refuses<Error>([&] { DenseMemory m(patterns, Interaction::rectified, 1001); }, {"1000"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        DenseMemory m(patterns, Interaction::power, 2, Tensor::from(Shape{2}, Integers{1, 2}));
      },
      {"counts", "(2)"}));
  const DenseMemory memory(patterns, Interaction::power, 3);
  EXPECT_TRUE(refuses<Error>([&] { memory.recall(signs({5, 15}, 1)); }, {"(1, 5, 15)"}));
  EXPECT_TRUE(refuses<Error>([&] { memory.recall(affine(patterns, 0.5, 0.0)); }, {"-1 or 1"}));
  RecallOptions options;
  options.order = RecallOrder::synchronous;
  EXPECT_TRUE(refuses<Error>([&] { memory.recall(patterns, options); }, {"asynchronous"}));
}

}  // namespace
}  // namespace basin::nn

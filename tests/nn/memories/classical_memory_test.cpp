// The classical network: reference vectors, energies, capacity rules, cycles, batches.
#include "nn/memories/classical.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nn/memories/binary_patterns.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/golden.h"
#include "tests/support/same_bits.h"
#include "tests/support/scoped_threads.h"

namespace basin::nn {
namespace {

using test::GoldenGroup;
using test::largest_difference;
using test::refuses;
using test::same_bits;

using Integers = std::vector<std::int64_t>;

constexpr auto kFixedPoint = static_cast<std::int64_t>(RecallOutcome::fixed_point);
constexpr auto kCycle = static_cast<std::int64_t>(RecallOutcome::cycle);
constexpr auto kUnsettled = static_cast<std::int64_t>(RecallOutcome::unsettled);

Tensor signs(const Shape& shape, std::uint64_t seed, DType dtype = DType::f32) {
  Rng rng(seed);
  return random_signs(shape, rng, dtype);
}

TEST(ClassicalMemory, SynchronousTrajectoryOfTheReferenceVectors) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const GoldenGroup g("/memory/classical_sync", dtype);
    const ClassicalMemory memory(g.tensor("patterns"));
    EXPECT_TRUE(g.agrees(memory.weights().select(0, 0), "weights"));
    // The trajectory may be longer than ours, which ends when all have settled.
    RecallOptions options;
    options.order = RecallOrder::synchronous;
    const RecallTrace trace = memory.trace(g.tensor("queries"), options);
    const Tensor expected = g.tensor("trajectory");
    for (std::int64_t t = 0; t < expected.size(0); ++t) {
      const std::int64_t ours = std::min(t, trace.states.size(0) - 1);
      EXPECT_TRUE(same_bits(trace.states.select(0, ours), expected.select(0, t))) << t;
      EXPECT_TRUE(largest_difference(memory.energy(expected.select(0, t)),
                                     g.tensor("energy").select(0, t)) <= 1e-5);
    }
    EXPECT_TRUE(same_bits(trace.energies.select(0, 0), memory.energy(g.tensor("queries"))));
  }
}

// Whole numbers, so that not even rounding is allowed.
TEST(ClassicalMemory, AsynchronousSweepsNeverRaiseTheEnergyOfTenThousandStates) {
  for (const bool diagonal : {false, true}) {
    for (const RecallOrder order : {RecallOrder::random, RecallOrder::index}) {
      const ClassicalMemory memory(signs({10, 12, 32}, 1), StorageRule::hebbian, diagonal);
      RecallOptions options;
      options.order = order;
      const RecallTrace trace = memory.trace(signs({10, 1000, 32}, 2), options);
      ASSERT_GT(trace.states.size(0), 2);
      const Shape energies{trace.energies.size(0), 10000};
      const std::vector<double> e = trace.energies.reshape(energies).to_vector<double>();
      std::int64_t fell = 0;
      for (std::size_t n = 10000; n < e.size(); ++n) {
        ASSERT_LE(e[n], e[n - 10000]);
        fell += e[n] < e[n - 10000] ? 1 : 0;
      }
      EXPECT_GT(fell, 9000);
    }
  }
}

TEST(ClassicalMemory, EveryRuleNeverRaisesTheEnergyBeyondRounding) {
  for (const StorageRule rule : {StorageRule::storkey, StorageRule::pseudo_inverse}) {
    const ClassicalMemory memory(signs({1, 12, 32}, 1, DType::f64), rule);
    const RecallTrace trace = memory.trace(signs({1, 10000, 32}, 2, DType::f64));
    const Shape energies{trace.energies.size(0), 10000};
    const std::vector<double> e = trace.energies.reshape(energies).to_vector<double>();
    for (std::size_t n = 10000; n < e.size(); ++n) {
      ASSERT_LE(e[n], e[n - 10000] + 1e-12) << name_of(rule);
    }
  }
}

// Two units that hold each other: +- and -+ change places for ever, in whole sweeps; one after the
// other they agree at once.
TEST(ClassicalMemory, TwoUnitsThatChangePlacesAreACycle) {
  const ClassicalMemory memory(Tensor::full({1, 2}, 1.0, DType::f32));
  const Tensor query = Tensor::from(Shape{3, 2}, std::vector<float>{1, -1, -1, 1, 1, 1});
  RecallOptions options;
  options.order = RecallOrder::synchronous;
  const Recall synchronous = memory.recall(query, options);
  EXPECT_EQ(synchronous.outcomes.to_vector<std::int64_t>(),
            (Integers{kCycle, kCycle, kFixedPoint}));
  EXPECT_EQ(synchronous.sweeps.to_vector<std::int64_t>(), (Integers{2, 2, 0}));
  options.order = RecallOrder::index;
  const Recall one_by_one = memory.recall(query, options);
  EXPECT_EQ(one_by_one.outcomes.to_vector<std::int64_t>(),
            (Integers{kFixedPoint, kFixedPoint, kFixedPoint}));
  EXPECT_EQ(one_by_one.sweeps.to_vector<std::int64_t>(), (Integers{1, 1, 0}));
  // The first unit takes the sign of the second.
  EXPECT_EQ(one_by_one.states.to_vector<double>(), (std::vector<double>{-1, -1, 1, 1, 1, 1}));
}

// In the middle between two patterns that differ in every second unit, the field there is 0.
TEST(ClassicalMemory, AUnitWithoutFieldKeepsItsState) {
  const Tensor patterns = Tensor::from(Shape{2, 4}, std::vector<float>{1, 1, 1, 1, 1, 1, -1, -1});
  const ClassicalMemory memory(patterns);
  const Tensor queries = Tensor::from(Shape{2, 4}, std::vector<float>{1, 1, 1, -1, 1, 1, -1, 1});
  // W_23 = 2/4: the last two units pull each other, and nobody else pulls them.
  for (const std::uint64_t key : {1, 2, 3, 4, 5}) {
    RecallOptions options;
    options.key = key;
    const std::vector<double> s = memory.recall(queries, options).states.to_vector<double>();
    EXPECT_EQ(s[0] + s[1] + s[4] + s[5], 4);
    EXPECT_EQ(s[2], s[3]);
    EXPECT_EQ(s[6], s[7]);
  }
  // With P = 2 orthogonal patterns each unit of a lonely pair has no field at all.
  const ClassicalMemory empty(patterns, StorageRule::hebbian, false,
                              Tensor::from(Shape{1}, Integers{0}));
  EXPECT_TRUE(same_bits(empty.recall(queries).states, queries));
}

TEST(ClassicalMemory, RecallsSevenPatternsOfAHundredUnits) {
  const Tensor patterns = signs({7, 100}, 4);
  Rng rng(5);
  const Tensor queries = flip_units(patterns, 25, rng);
  for (const double share : equal_units(patterns, queries).to_vector<double>()) {
    EXPECT_EQ(share, 0.75);
  }
  const Recall found = ClassicalMemory(patterns).recall(queries);
  EXPECT_TRUE(same_bits(found.states, patterns));
}

// What each rule promises: the pseudo-inverse keeps any N - 1 independent patterns as fixed points,
// the Storkey rule more than the Hebbian one.
TEST(ClassicalMemory, OtherRulesKeepMorePatterns) {
  const auto kept = [](StorageRule rule, std::int64_t count) {
    const Tensor patterns = signs({20, count, 100}, 6, DType::f64);
    const Tensor states = ClassicalMemory(patterns, rule).recall(patterns).states;
    std::int64_t same = 0;
    for (const double share : equal_units(states, patterns).to_vector<double>()) {
      same += share == 1.0 ? 1 : 0;
    }
    return static_cast<double>(same) / static_cast<double>(20 * count);
  };
  EXPECT_EQ(kept(StorageRule::pseudo_inverse, 60), 1.0);
  // 100 units, each stable with probability 0.99, if crosstalk has its mean variance of 0.19: a
  // third of the patterns, and somewhat more because that variance differs from pattern to pattern.
  EXPECT_LT(kept(StorageRule::hebbian, 20), 0.6);
  EXPECT_GT(kept(StorageRule::storkey, 20), 0.9);
}

TEST(ClassicalMemory, MemoriesAndQueriesDoNotMeet) {
  const Tensor patterns = signs({4, 6, 40}, 7);
  const Tensor queries = signs({4, 9, 40}, 8);
  const Recall all = ClassicalMemory(patterns).recall(queries);
  // Another memory and another query change nothing elsewhere.
  Tensor other_patterns = patterns.clone();
  other_patterns.select(0, 2).copy_from(signs({6, 40}, 9));
  Tensor other_queries = queries.clone();
  other_queries.select(0, 1).select(0, 5).copy_from(signs({40}, 10));
  const Recall changed = ClassicalMemory(other_patterns).recall(other_queries);
  for (std::int64_t b = 0; b < 4; ++b) {
    for (std::int64_t q = 0; q < 9; ++q) {
      const bool same =
          same_bits(all.states.select(0, b).select(0, q), changed.states.select(0, b).select(0, q));
      EXPECT_TRUE(same || b == 2 || (b == 1 && q == 5)) << b << ", " << q;
    }
  }
  EXPECT_FALSE(same_bits(all.states, changed.states));
}

TEST(ClassicalMemory, TheNumberOfThreadsAndTheKeyOfOrders) {
  const Tensor patterns = signs({3, 30, 120}, 11);
  const Tensor queries = signs({3, 50, 120}, 12);
  const auto run = [&](int threads, std::uint64_t key, StorageRule rule) {
    const test::ScopedThreads scope(threads);
    RecallOptions options;
    options.key = key;
    return ClassicalMemory(patterns, rule).recall(queries, options).states;
  };
  for (const StorageRule rule :
       {StorageRule::hebbian, StorageRule::storkey, StorageRule::pseudo_inverse}) {
    EXPECT_TRUE(same_bits(run(1, 1, rule), run(3, 1, rule)));
    EXPECT_FALSE(same_bits(run(1, 1, rule), run(1, 2, rule)));
  }
}

// A capacity sweep in one call: counts say how many patterns each memory stores.
TEST(ClassicalMemory, CountsStoreTheFirstPatterns) {
  const Tensor patterns = signs({3, 8, 30}, 13);
  for (const StorageRule rule :
       {StorageRule::hebbian, StorageRule::storkey, StorageRule::pseudo_inverse}) {
    const Tensor counted =
        ClassicalMemory(patterns, rule, false, Tensor::from(Shape{3}, Integers{0, 3, 8})).weights();
    EXPECT_EQ(largest_difference(counted.select(0, 0), Tensor::zeros({30, 30}, DType::f32)), 0);
    const Tensor three = patterns.select(0, 1).slice(0, 0, 3);
    EXPECT_TRUE(
        same_bits(counted.select(0, 1), ClassicalMemory(three, rule).weights().select(0, 0)));
  }
}

TEST(ClassicalMemory, TraceTakesTheSweepsOfOneCall) {
  const ClassicalMemory memory(signs({2, 20, 64}, 14));
  const Tensor queries = signs({2, 10, 64}, 15);
  RecallOptions options;
  options.key = 3;
  const Recall whole = memory.recall(queries, options);
  const RecallTrace trace = memory.trace(queries, options);
  EXPECT_TRUE(same_bits(trace.states.select(0, trace.states.size(0) - 1), whole.states));
  options.most_sweeps = 1;
  const Recall cut = memory.recall(queries, options);
  EXPECT_TRUE(same_bits(trace.states.select(0, 1), cut.states));
  const Integers outcomes = cut.outcomes.to_vector<std::int64_t>();
  EXPECT_GT(std::count(outcomes.begin(), outcomes.end(), kUnsettled), 0);
}

TEST(ClassicalMemory, RefusesWhatDoesNotFit) {
  const Tensor patterns = signs({5, 16}, 1);
  const ClassicalMemory memory(patterns);
  Tensor wrong = patterns.clone();
  wrong.select(0, 2).fill(0.5);
  EXPECT_TRUE(refuses<Error>([&] { ClassicalMemory m(wrong); }, {"-1 or 1", "position 32"}));
  EXPECT_TRUE(refuses<Error>([&] { memory.recall(wrong); }, {"-1 or 1", "position 32"}));
  EXPECT_TRUE(refuses<Error>([&] { memory.recall(signs({5, 17}, 1)); }, {"(1, 5, 17)", "units"}));
  EXPECT_TRUE(refuses<Error>([&] { memory.recall(signs({2, 5, 16}, 1)); }, {"(2, 5, 16)"}));
  EXPECT_TRUE(refuses<Error>([&] { memory.recall(signs({5, 16}, 1, DType::f64)); }, {"f64"}));
  EXPECT_TRUE(refuses<Error>([&] { ClassicalMemory m(signs({16}, 1)); }, {"(16)"}));
  EXPECT_TRUE(refuses<Error>([&] { ClassicalMemory m(patterns, StorageRule::storkey, true); },
                             {"Storkey", "diagonal"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        ClassicalMemory m(patterns, StorageRule::hebbian, false,
                          Tensor::from(Shape{1}, Integers{6}));
      },
      {"counts", "position 0"}));
  RecallOptions backwards;
  backwards.most_sweeps = -1;
  EXPECT_TRUE(refuses<Error>([&] { memory.recall(patterns, backwards); }, {"sweeps"}));
}

TEST(BinaryPatterns, FlipExactlyTheUnitsAskedFor) {
  const Tensor patterns = signs({50, 101}, 16);
  Rng rng(17);
  std::vector<double> hits(101);
  for (int repeat = 0; repeat < 40; ++repeat) {
    const Tensor flipped = flip_units(patterns, 20, rng);
    const std::vector<double> a = patterns.to_vector<double>();
    const std::vector<double> b = flipped.to_vector<double>();
    for (std::size_t row = 0; row < 50; ++row) {
      int changed = 0;
      for (std::size_t i = 0; i < 101; ++i) {
        changed += a[row * 101 + i] != b[row * 101 + i] ? 1 : 0;
        hits[i] += a[row * 101 + i] != b[row * 101 + i] ? 1 : 0;
      }
      EXPECT_EQ(changed, 20);
    }
  }
  // 2000 rows, each unit with probability 20/101: 396 +- 18; six deviations for 101 units.
  for (const double count : hits) {
    EXPECT_NEAR(count, 396, 107);
  }
  EXPECT_TRUE(same_bits(flip_units(patterns, 0, rng), patterns));
  EXPECT_TRUE(refuses<Error>([&] { flip_units(patterns, 102, rng); }, {"102", "(50, 101)"}));
}

}  // namespace
}  // namespace basin::nn

// The modern network as a memory: reference vectors, energies, fixed points, memory use, basins.
#include "nn/memories/modern.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "nn/memories/attractors.h"
#include "tensor/allocator.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/reduce.h"
#include "tensor/rng.h"
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

AssociationOptions with(Separation separation, double beta) {
  AssociationOptions options;
  options.separation = separation;
  options.beta = beta;
  return options;
}

Tensor normal(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64,
              double deviation = 1.0) {
  return Rng(seed).normal(shape, deviation, dtype);
}

TEST(ModernMemory, TrajectoriesAndEnergiesOfTheReferenceVectors) {
  for (const std::string& group : test::golden_groups("/memory")) {
    const bool modern = group == "/memory/modern";
    if (!modern && group.find("energy_") == std::string::npos) {
      continue;
    }
    const GoldenGroup g(group, DType::f64);
    AssociationOptions options = with(Separation::softmax, g.number("beta"));
    if (group.find("sparsemax") != std::string::npos) {
      options.separation = Separation::sparsemax;
    } else if (group.find("entmax") != std::string::npos) {
      options.separation = Separation::entmax;
      options.alpha = g.number("alpha");
    }
    const ModernMemory memory(g.tensor("patterns"), options);
    const Tensor expected = g.tensor("trajectory");
    const ModernTrace trace = memory.trace(g.tensor("queries"), expected.size(0) - 1);
    EXPECT_TRUE(g.agrees(trace.states, "trajectory"));
    const std::int64_t energies = g.tensor("energy").size(0);
    EXPECT_TRUE(g.agrees(trace.energies.slice(0, 0, energies), "energy"));
  }
}

TEST(ModernMemory, UpdatesNeverRaiseTheEnergyOfTenThousandStates) {
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::entmax}) {
    for (const double beta : {0.1, 1.0, 8.0}) {
      const ModernMemory memory(normal({25, 6}, 1), with(separation, beta));
      const ModernTrace trace = memory.trace(normal({3334, 6}, 2, DType::f64, 2.0), 4);
      const Shape energies{5, 3334};
      const std::vector<double> e = trace.energies.reshape(energies).to_vector<double>();
      std::int64_t fell = 0;
      for (std::size_t n = 3334; n < e.size(); ++n) {
        ASSERT_LE(e[n], e[n - 3334] + 1e-12 * (1 + std::abs(e[n]))) << name_of(separation);
        fell += e[n] < e[n - 3334] ? 1 : 0;
      }
      EXPECT_GT(fell, 3000);
    }
  }
}

TEST(ModernMemory, RetrievesNoisyPatternsWithEverySeparation) {
  const Tensor patterns = normal({20, 64}, 3);
  const Tensor noisy = add(patterns, normal({20, 64}, 4, DType::f64, 0.3));
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::entmax, Separation::polynomial}) {
    AssociationOptions options = with(separation, 1.0);
    options.degree = separation == Separation::polynomial ? 12 : options.degree;
    const ModernMemory memory(patterns, options);
    const ModernRetrieval found = memory.retrieve(noisy);
    const double error =
        std::sqrt(max(square(sub(found.states, patterns)).reshape({-1}), 0).item());
    EXPECT_LT(error, 1e-3) << name_of(separation);
    EXPECT_LT(max(found.residuals, 0).item(), 1e-4);
    if (separation == Separation::sparsemax || separation == Separation::entmax) {
      EXPECT_TRUE(same_bits(found.states, patterns)) << "one weight is 1, the others 0";
    }
    const std::vector<std::int64_t> best = memory.best_match(noisy).to_vector<std::int64_t>();
    for (std::int64_t q = 0; q < 20; ++q) {
      EXPECT_EQ(best[static_cast<std::size_t>(q)], q);
    }
  }
}

// At a small beta all states meet in one fixed point near the mean of the patterns.
TEST(ModernMemory, AveragesWhenBetaIsSmall) {
  const Tensor patterns = normal({30, 8}, 5);
  const ModernMemory memory(patterns, with(Separation::softmax, 0.02));
  const ModernRetrieval found = memory.retrieve(normal({50, 8}, 6));
  for (std::int64_t q = 1; q < 50; ++q) {
    EXPECT_TRUE(largest_difference(found.states.select(0, 0), found.states.select(0, q)) <= 1e-4);
  }
  const Tensor average = affine(sum(patterns, 0), 1.0 / 30, 0.0);
  EXPECT_LT(largest_difference(found.states.select(0, 0), average), 0.1);
  EXPECT_LT(max(found.residuals, 0).item(), 1e-5);
}

TEST(ModernMemory, StepsAndLimits) {
  const ModernMemory memory(normal({30, 8}, 5), with(Separation::softmax, 0.5));
  const Tensor states = normal({9, 8}, 6);
  EXPECT_LT(largest_difference(memory.update(memory.update(states)), memory.update(states, 2)),
            1e-13);
  EXPECT_TRUE(same_bits(memory.update(states, 0), states));
  const ModernRetrieval stopped = memory.retrieve(states, 3, 0.0);
  EXPECT_TRUE(same_bits(stopped.states, memory.update(states, 3)));
  EXPECT_EQ(stopped.steps.to_vector<std::int64_t>(), std::vector<std::int64_t>(9, 3));
  const std::vector<std::int64_t> steps = memory.retrieve(states).steps.to_vector<std::int64_t>();
  EXPECT_LT(*std::max_element(steps.begin(), steps.end()), 1000);
  EXPECT_NE(*std::max_element(steps.begin(), steps.end()),
            *std::min_element(steps.begin(), steps.end()));
}

// The default of beta is that of attention.
TEST(ModernMemory, BetaDefaultsToTheWidth) {
  const Tensor patterns = normal({30, 16}, 5);
  const Tensor states = normal({9, 16}, 6);
  EXPECT_TRUE(same_bits(ModernMemory(patterns, {}).update(states),
                        ModernMemory(patterns, with(Separation::softmax, 0.25)).update(states)));
}

TEST(ModernMemory, StatesAndThreadsDoNotMeet) {
  const Tensor patterns = normal({500, 24}, 7, DType::f32);
  const Tensor states = normal({40, 24}, 8, DType::f32);
  Tensor others = states.clone();
  others.select(0, 17).fill(std::nanf(""));
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::polynomial}) {
    const ModernMemory memory(patterns, with(separation, 0.4));
    const Tensor all = memory.update(states, 3);
    {
      const test::ScopedThreads scope(3);
      EXPECT_TRUE(same_bits(all, memory.update(states, 3)));
    }
    const Tensor changed = memory.update(others, 3);
    for (std::int64_t q = 0; q < 40; ++q) {
      EXPECT_EQ(same_bits(all.select(0, q), changed.select(0, q)), q != 17) << q;
    }
  }
}

// Beside the patterns: the scores of one query on each thread and the states.
TEST(ModernMemory, NeedsMemoryForPatternsAndNotForScores) {
  const std::int64_t M = 200000;
  const std::int64_t D = 64;
  const std::int64_t Q = 64;
  const Tensor patterns = normal({M, D}, 9, DType::f32);
  const Tensor noisy =
      add(patterns.slice(0, M - Q, M), normal({Q, D}, 10, DType::f32, 0.3)).contiguous();
  const test::ScopedThreads scope(2);
  const auto allocator = cpu_allocator();
  for (const Separation separation :
       {Separation::softmax, Separation::sparsemax, Separation::entmax}) {
    const ModernMemory memory(patterns, with(separation, 1.0));
    allocator->reset_peak();
    const std::size_t before = allocator->stats().active;
    const Tensor found = memory.update(noisy, 2);
    const std::size_t extra = allocator->stats().peak - before;
    // All scores at once would be 51 MB, the patterns are 51 MB too.
    EXPECT_LT(extra, static_cast<std::size_t>(M * D * 4 / 2)) << name_of(separation);
    EXPECT_LT(largest_difference(found, patterns.slice(0, M - Q, M)), 1e-2);
  }
}

TEST(ModernMemory, RefusesWhatDoesNotFit) {
  const Tensor patterns = normal({5, 4}, 1);
  EXPECT_TRUE(refuses<Error>([&] { ModernMemory m(normal({4}, 1), {}); }, {"(4)"}));
  EXPECT_TRUE(refuses<Error>([&] { ModernMemory m(normal({0, 4}, 1), {}); }, {"at least one"}));
  AssociationOptions causal;
  causal.causal = true;
  EXPECT_TRUE(refuses<Error>([&] { ModernMemory m(patterns, causal); }, {"causal=true"}));
  EXPECT_TRUE(refuses<Error>([&] { ModernMemory m(patterns, with(Separation::linear, 0)); },
                             {"linear", "softmax"}));
  const ModernMemory memory(patterns, with(Separation::polynomial, 1.0));
  EXPECT_TRUE(refuses<Error>([&] { memory.energy(patterns); }, {"energy", "residuals"}));
  EXPECT_TRUE(refuses<Error>([&] { memory.update(normal({5, 3}, 1)); }, {"(5, 3)", "(Q, 4)"}));
  EXPECT_TRUE(refuses<Error>([&] { memory.best_match(normal({4}, 1)); }, {"(4)"}));
}

// Two patterns far apart: the border of their basins is the line between them; a third one in the
// middle of a pair would need a sharper beta.
TEST(Attractors, BasinsOfTwoPatterns) {
  const Tensor patterns = Tensor::from(Shape{2, 2}, std::vector<double>{-1, 0, 1, 0});
  const ModernMemory sharp(patterns, with(Separation::softmax, 8.0));
  const Tensor grid = grid_states(-2, 2, 40, -1, 1, 10);
  ASSERT_EQ(grid.size(0), 400);
  const Basins basins = sort_by_attractor(sharp.retrieve(grid).states, patterns);
  ASSERT_EQ(basins.attractors.size(), 2u);
  const std::vector<double> x = grid.to_vector<double>();
  for (std::size_t q = 0; q < 400; ++q) {
    EXPECT_EQ(basins.of[q], x[2 * q] < 0 ? 0 : 1) << x[2 * q];
    EXPECT_EQ(basins.attractors[static_cast<std::size_t>(basins.of[q])].pattern, basins.of[q]);
  }
  // beta = 1/2: tanh(x / 2) = x has no root but 0. Everything ends in the middle.
  const ModernMemory flat(patterns, with(Separation::softmax, 0.5));
  const Basins one = sort_by_attractor(flat.retrieve(grid).states, patterns);
  ASSERT_EQ(one.attractors.size(), 1u);
  EXPECT_EQ(one.attractors[0].kind, Attractor::Kind::spurious);
  EXPECT_NEAR(one.attractors[0].state[0], 0, 1e-4);
}

TEST(Attractors, PatternsComeFirstThenNegativesThenSpuriousStates) {
  const Tensor patterns = Tensor::from(Shape{2, 2}, std::vector<double>{2, 0, 0, 2});
  const Tensor ends = Tensor::from(
      Shape{6, 2}, std::vector<double>{1, 1, 0, -2.1, 0, 2.05, 1.1, 1, -1, -1, 2, 0.1});
  const Basins basins = sort_by_attractor(ends, patterns, 0.5);
  EXPECT_EQ(basins.of, (std::vector<std::int64_t>{3, 2, 1, 3, 4, 0}));
  EXPECT_EQ(basins.attractors[2].kind, Attractor::Kind::negative);
  EXPECT_EQ(basins.attractors[2].pattern, 1);
  EXPECT_EQ(basins.attractors[3].kind, Attractor::Kind::spurious);
  EXPECT_TRUE(refuses<Error>([&] { sort_by_attractor(ends, ends.select(0, 0)); }, {"(2)"}));
  EXPECT_TRUE(
      refuses<Error>([&] { sort_by_attractor(ends, patterns.slice(0, 0, 1)); }, {"radius"}));
  EXPECT_TRUE(refuses<Error>([&] { grid_states(1, 0, 3, 0, 1, 3); }, {"[1, 0]"}));
}

}  // namespace
}  // namespace basin::nn

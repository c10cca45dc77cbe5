// Many classical networks of random patterns at once, for the experiments about them.
#pragma once

#include <cstdint>
#include <vector>

#include "tasks/experiments/hopfield_from_scratch/common.h"
#include "tensor/functions/binary_memory.h"

namespace basin::experiments {

/// A way to store and to recall.
struct ClassicalSetting {
  const char* name;  ///< as tables and keys of parts have it
  StorageRule rule = StorageRule::hebbian;
  bool keep_diagonal = false;
  RecallOrder order = RecallOrder::random;
};

/// The convention that published values are judged under comes first: Hebbian rule, zero diagonal,
/// one unit after the other in random order.
const std::vector<ClassicalSetting>& hebbian_settings();
inline constexpr ClassicalSetting kStorkey{"Storkey", StorageRule::storkey};
inline constexpr ClassicalSetting kPseudoInverse{"pseudo-inverse", StorageRule::pseudo_inverse};

struct ClassicalProblem {
  std::int64_t memories = 1, patterns = 1, units = 100, flips = 0;
  std::int64_t queries = 0;  ///< the first patterns of each memory are asked for; 0: all of them
};

struct ClassicalOutcome {
  std::vector<double>
      correct;         ///< share of right units: queries of memory 0, then of memory 1, ...
  double sweeps = 0;   ///< mean number of sweeps that changed something
  double cycles = 0;   ///< share of queries that ended in a cycle of two states
  double nearest = 0;  ///< share of queries whose nearest stored pattern is the one asked for

  /// One number for each memory: the mean share of right units over its first `queries` queries (0:
  /// all).
  std::vector<double> by_memory(std::int64_t memories, std::int64_t queries = 0) const;
  /// The share of queries recalled without an error, by memory.
  std::vector<double> exact_by_memory(std::int64_t memories) const;
};

/// Draws patterns of -1 and 1, stores them, flips exactly `flips` units of each query and recalls.
/// A function of the arguments alone: the same seed, the same patterns and flips for every setting.
/// Weights of a few hundred megabytes at most are held at a time.
ClassicalOutcome run_classical(const ClassicalSetting& setting, const ClassicalProblem& problem,
                               std::uint64_t seed, const Progress& progress = {});

}  // namespace basin::experiments

// Memories of units that are -1 or 1: the classical Hopfield network and dense associative memory.
#pragma once

#include <cstdint>

#include "kernels/memory/classical.h"
#include "kernels/memory/dense.h"
#include "tensor/tensor.h"

namespace basin {

struct RecallOptions {
  RecallOrder order = RecallOrder::random;
  /// The sweep that finds nothing to change counts.
  std::int64_t most_sweeps = 100;
  /// The number of the first sweep: recall goes on where another with the same key stopped after as
  /// many sweeps.
  std::int64_t first_sweep = 0;
  std::uint64_t key = 0;  ///< of the random orders: the same key, the same orders
};

struct Recall {
  Tensor states;    ///< (B,Q,N), where the updates led
  Tensor sweeps;    ///< (B,Q) i64: how many changed something
  Tensor outcomes;  ///< (B,Q) i64: a RecallOutcome each
};

/// N W (B,N,N) of patterns (B,P,N) of -1 and 1, f32 or f64: see kernels::ClassicalStore. counts (B)
/// i64 or undefined. Throws Error for other numbers, for f32 where N P is above 2^24 (whole numbers
/// would no longer be exact), and for a kept diagonal with the Storkey rule.
Tensor classical_store(const Tensor& patterns, StorageRule rule, bool keep_diagonal = false,
                       const Tensor& counts = {});

/// weights (B,N,N) symmetric, queries (B,Q,N) of -1 and 1. A field of at most `tie` counts as zero.
/// Throws Error for shapes, dtypes and numbers that do not fit.
Recall classical_recall(const Tensor& weights, const Tensor& queries, const RecallOptions& options,
                        double tie = 0.0);

/// -scale / 2 s W s of states (B,Q,N): (B,Q).
Tensor classical_energy(const Tensor& weights, const Tensor& states, double scale);

/// patterns (B,P,N) of any numbers, queries (B,Q,N) of -1 and 1: see kernels::DenseRecall. counts
/// (B) i64 or undefined. Throws Error for shapes, dtypes, numbers and degrees that do not fit, and
/// for synchronous updates.
Recall dense_recall(const Tensor& patterns, const Tensor& queries, Interaction interaction,
                    std::int64_t degree, const RecallOptions& options, const Tensor& counts = {});

/// The energies (B,Q) of states (B,Q,N): see kernels::DenseEnergy.
Tensor dense_energy(const Tensor& patterns, const Tensor& states, Interaction interaction,
                    std::int64_t degree, const Tensor& counts = {});

}  // namespace basin

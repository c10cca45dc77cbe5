// The classical Hopfield network as a memory: patterns are stored by a rule, nothing is trained.
#pragma once

#include <cstdint>

#include "nn/memories/trace.h"
#include "tensor/functions/binary_memory.h"

namespace basin::nn {

/// B independent networks of N units of -1 or 1. Where the patterns come as (P,N) and queries as
/// (Q,N), B is 1.
class ClassicalMemory {
 public:
  /// patterns (P,N) or (B,P,N) of -1 and 1, f32 or f64; counts (B) i64 or undefined: memory b
  /// stores the first counts[b] of its patterns. Takes B N^2 numbers of memory. Throws Error as
  /// classical_store does.
  explicit ClassicalMemory(const Tensor& patterns, StorageRule rule = StorageRule::hebbian,
                           bool keep_diagonal = false, const Tensor& counts = {});

  /// W (B,N,N), as the textbooks have it: N times smaller than the numbers that recall works on.
  Tensor weights() const;

  /// queries (B,Q,N), or (Q,N) if B is 1, to where the updates lead; states have the shape of the
  /// queries. Costs N^2 for each query and N for each flip.
  Recall recall(const Tensor& queries, const RecallOptions& options = {}) const;

  /// -1/2 s W s of states (B,Q,N): (B,Q); of states (Q,N): (Q).
  Tensor energy(const Tensor& states) const;

  /// The states after 0, 1, ... sweeps and their energies, until all queries have settled or
  /// most_sweeps sweeps were made.
  RecallTrace trace(const Tensor& queries, const RecallOptions& options = {}) const;

  std::int64_t memories() const { return scaled_weights_.size(0); }
  std::int64_t units() const { return scaled_weights_.size(1); }

 private:
  Tensor scaled_weights_;  // N W
  double tie_;             // fields up to here are rounding
};

}  // namespace basin::nn

// Dense associative memory: patterns are kept as they are, and a steep function of the overlaps
// decides.
#pragma once

#include <cstdint>

#include "nn/memories/trace.h"
#include "tensor/functions/binary_memory.h"

namespace basin::nn {

/// B independent memories of N units of -1 or 1. Where the patterns come as (P,N) and queries as
/// (Q,N), B is 1.
class DenseMemory {
 public:
  /// patterns (P,N) or (B,P,N), any numbers, f32 or f64; `degree` belongs to the powers. counts (B)
  /// i64 or undefined: memory b has the first counts[b] of its patterns. Throws Error for shapes
  /// and degrees that do not fit.
  DenseMemory(const Tensor& patterns, Interaction interaction, std::int64_t degree = 2,
              const Tensor& counts = {});

  /// queries (B,Q,N), or (Q,N) if B is 1, of -1 and 1, to where asynchronous updates lead; states
  /// have the shape of the queries. A sweep costs N P for each query.
  Recall recall(const Tensor& queries, const RecallOptions& options = {}) const;

  /// Of states (B,Q,N): (B,Q); of (Q,N): (Q). -sum (z/N)^degree, or -ln sum e^z: see
  /// kernels::DenseEnergy.
  Tensor energy(const Tensor& states) const;

  /// As ClassicalMemory::trace.
  RecallTrace trace(const Tensor& queries, const RecallOptions& options = {}) const;

  std::int64_t memories() const { return patterns_.size(0); }
  std::int64_t units() const { return patterns_.size(2); }

 private:
  Tensor patterns_, counts_;
  Interaction interaction_;
  std::int64_t degree_;
};

}  // namespace basin::nn

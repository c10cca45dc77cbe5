#include "nn/memories/classical.h"

#include <limits>

#include "nn/memories/batches.h"
#include "tensor/error.h"
#include "tensor/functions/elementwise.h"

namespace basin::nn {

namespace {

// Fields of the Hebbian rule are exact. Of the others a field is a sum of N weights of up to N,
// each rounded and, after some hundred flips, added some hundred times.
double rounding(StorageRule rule, std::int64_t units, DType dtype) {
  if (rule == StorageRule::hebbian) {
    return 0.0;
  }
  const double eps = dtype == DType::f32
                         ? static_cast<double>(std::numeric_limits<float>::epsilon())
                         : std::numeric_limits<double>::epsilon();
  return 8 * eps * static_cast<double>(units);
}

}  // namespace

ClassicalMemory::ClassicalMemory(const Tensor& patterns, StorageRule rule, bool keep_diagonal,
                                 const Tensor& counts)
    : scaled_weights_(
          classical_store(with_batch("ClassicalMemory", patterns), rule, keep_diagonal, counts)),
      tie_(rounding(rule, units(), patterns.dtype())) {}

Tensor ClassicalMemory::weights() const {
  return affine(scaled_weights_, 1 / static_cast<double>(units()), 0.0);
}

Recall ClassicalMemory::recall(const Tensor& queries, const RecallOptions& options) const {
  return like_queries(
      queries, classical_recall(scaled_weights_, with_batch("ClassicalMemory::recall", queries),
                                options, tie_));
}

Tensor ClassicalMemory::energy(const Tensor& states) const {
  const Tensor energy =
      classical_energy(scaled_weights_, with_batch("ClassicalMemory::energy", states),
                       1 / static_cast<double>(units()));
  return states.rank() == 2 ? energy.select(0, 0) : energy;
}

RecallTrace ClassicalMemory::trace(const Tensor& queries, const RecallOptions& options) const {
  return trace_recall(*this, queries, options);
}

}  // namespace basin::nn

#include "nn/memories/dense.h"

#include "nn/memories/batches.h"
#include "tensor/error.h"

namespace basin::nn {

DenseMemory::DenseMemory(const Tensor& patterns, Interaction interaction, std::int64_t degree,
                         const Tensor& counts)
    : patterns_(with_batch("DenseMemory", patterns).contiguous()),
      counts_(counts),
      interaction_(interaction),
      degree_(degree) {
  // Says what does not fit now rather than at the first recall.
  dense_energy(patterns_, Tensor::full({memories(), 0, units()}, 1.0, patterns_.dtype()),
               interaction_, degree_, counts_);
}

Recall DenseMemory::recall(const Tensor& queries, const RecallOptions& options) const {
  return like_queries(queries, dense_recall(patterns_, with_batch("DenseMemory::recall", queries),
                                            interaction_, degree_, options, counts_));
}

Tensor DenseMemory::energy(const Tensor& states) const {
  const Tensor energy = dense_energy(patterns_, with_batch("DenseMemory::energy", states),
                                     interaction_, degree_, counts_);
  return states.rank() == 2 ? energy.select(0, 0) : energy;
}

RecallTrace DenseMemory::trace(const Tensor& queries, const RecallOptions& options) const {
  return trace_recall(*this, queries, options);
}

}  // namespace basin::nn

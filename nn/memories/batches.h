// One memory is a batch of one.
#pragma once

#include "tensor/error.h"
#include "tensor/functions/binary_memory.h"

namespace basin::nn {

/// (rows, N) as (1, rows, N), (B, rows, N) as it is. Throws Error for other ranks.
inline Tensor with_batch(const char* where, const Tensor& x) {
  if (x.rank() != 2 && x.rank() != 3) {
    fail("[{}] needs (rows, units) or (memories, rows, units), got {}", where, describe(x));
  }
  return x.rank() == 2 ? x.unsqueeze(0) : x;
}

/// Without the batch if the queries had none.
inline Recall like_queries(const Tensor& queries, const Recall& recall) {
  if (queries.rank() == 3) {
    return recall;
  }
  return {recall.states.select(0, 0), recall.sweeps.select(0, 0), recall.outcomes.select(0, 0)};
}

}  // namespace basin::nn

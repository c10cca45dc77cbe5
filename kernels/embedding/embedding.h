// Table look-up and its gradient.
#pragma once

#include <cstdint>

#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/common/thread_pool.h"

namespace basin::kernels {

/// y[t, :] = table[ids[t], :]; ids i64 in [0, vocabulary), table (vocabulary, width) contiguous. An
/// id outside gives an invalid status whose position is its index; nothing is written then.
struct EmbeddingForward {
  const std::int64_t* ids;
  const void* table;
  void* y;
  std::int64_t count, vocabulary, width;
  DType dtype;
};
Status embedding_forward(const EmbeddingForward&, const CpuContext&);

/// dtable[v, :] = sum over t with ids[t] = v of dy[t, :], added in the order of t. dtable is
/// overwritten.
struct EmbeddingBackward {
  const std::int64_t* ids;
  const void* dy;
  void* dtable;
  std::int64_t count, vocabulary, width;
  DType dtype;
};
Status embedding_backward(const EmbeddingBackward&, const CpuContext&);

}  // namespace basin::kernels

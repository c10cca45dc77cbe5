// Table look-up and its gradient.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// y[t, :] = table[ids[t], :]; ids i64 in [0, vocabulary), table (vocabulary, width) contiguous. An
/// id outside gives an invalid status whose position is its index; nothing is written then. On a
/// GPU, which the host does not wait for, its row becomes NaN instead.
struct EmbeddingForward {
  const std::int64_t* ids;
  const void* table;
  void* y;
  std::int64_t count, vocabulary, width;
  DType dtype;
};
Status embedding_forward(const EmbeddingForward&, const CpuContext&);
Status embedding_forward(const EmbeddingForward&, const SimtContext&);
Status embedding_forward(const EmbeddingForward&, const CudaContext&);

/// dtable[v, :] = sum over t with ids[t] = v of dy[t, :], added in the order of t. dtable is
/// overwritten. An id outside gives a status as above; on a GPU its row of dy counts nowhere, and a
/// sum is one of partial sums, each of at most 32 rows in the order of t.
/// Variants: 0 best, 1 threads own columns: fill with 0, then add row after row of dy, 2 positions
/// sorted by id, so that each row of dtable is written once: 0, or the sum of its segment (variant
/// 0). On a GPU 0 alone.
struct EmbeddingBackward {
  const std::int64_t* ids;
  const void* dy;
  void* dtable;
  std::int64_t count, vocabulary, width;
  DType dtype;
  void* workspace = nullptr;  ///< embedding_backward_workspace() bytes, 64-byte aligned
  int variant = 0;
};
std::int64_t embedding_backward_workspace(const EmbeddingBackward&, const CpuContext&);
std::int64_t embedding_backward_workspace(const EmbeddingBackward&, const SimtContext&);
std::int64_t embedding_backward_workspace(const EmbeddingBackward&, const CudaContext&);
Status embedding_backward(const EmbeddingBackward&, const CpuContext&);
Status embedding_backward(const EmbeddingBackward&, const SimtContext&);
Status embedding_backward(const EmbeddingBackward&, const CudaContext&);

}  // namespace basin::kernels

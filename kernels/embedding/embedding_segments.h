// Variant 2 of embedding_backward: positions sorted by id.
#pragma once

#include "kernels/embedding/embedding.h"

namespace basin::kernels {

/// Arguments as checked by embedding_backward(). Workspace in bytes.
void embedding_segments(const EmbeddingBackward& p, const CpuContext& context);
std::int64_t embedding_segments_workspace(const EmbeddingBackward& p);

}  // namespace basin::kernels

// Variant 1 of retrieval: the definition, one query at a time. Scratch grows with M, never with
// L M.
#pragma once

#include "kernels/association/retrieval.h"

namespace basin::kernels {

/// Arguments as checked by retrieval_forward() and retrieval_backward().
std::int64_t retrieval_rows_forward_workspace(const RetrievalForward&, const CpuContext&);
void retrieval_rows_forward(const RetrievalForward&, const CpuContext&);

std::int64_t retrieval_rows_backward_workspace(const RetrievalBackward&, const CpuContext&);
void retrieval_rows_backward(const RetrievalBackward&, const CpuContext&);

}  // namespace basin::kernels

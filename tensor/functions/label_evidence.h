// Evidence for labels in a dense associative memory.
#pragma once

#include "kernels/memory/label_evidence.h"
#include "tensor/tensor.h"

namespace basin {

/// The evidence (B,C) for each of C labels from the overlaps (B,K) of B inputs with K memories and
/// their label units (K,C): see kernels::LabelEvidenceForward. f32 or f64. Throws Error for shapes,
/// dtypes, a degree below 1 and a scale of 0 or less.
Tensor label_evidence(const Tensor& overlaps, const Tensor& labels,
                      const kernels::InteractionOf& by);

struct LabelEvidenceGradients {
  Tensor doverlaps, dlabels;
};
LabelEvidenceGradients label_evidence_backward(const Tensor& overlaps, const Tensor& labels,
                                               const kernels::InteractionOf& by,
                                               const Tensor& devidence);

}  // namespace basin

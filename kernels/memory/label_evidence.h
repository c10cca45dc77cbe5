// The evidence for each label in a dense associative memory that is read as a classifier: how much
// the energy falls when one label unit is turned on. D. Krotov, J. Hopfield, Dense associative
// memory for pattern recognition (2016), equation 9.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/memory/dense.h"

namespace basin::kernels {

/// How an overlap y = z / scale counts. power: y^degree; rectified: max(y, 0)^degree; exponential:
/// e^(degree (y - 1)), to which powers of a high degree come near where y is near 1. The scale is
/// what keeps powers in range: dividing by it is multiplying the sum of z^degree by scale^-degree.
struct InteractionOf {
  Interaction kind = Interaction::rectified;
  std::int64_t degree = 2;  ///< at least 1
  double scale = 1.0;       ///< above 0
};

/// evidence (B,C) from overlaps z (B,K) of the visible units with each memory and the label units
/// (K,C) of the memories: with all labels off (-1) the overlap is o_bk = z_bk - sum_j labels_kj,
/// with label c on it is o_bk + 2 labels_kc, and
///   evidence_bc = sum_k F(o_bk + 2 labels_kc) - F(o_bk).
/// All arrays contiguous, f32 or f64; all arithmetic is in double.
struct LabelEvidenceForward {
  const void* overlaps;
  const void* labels;
  void* evidence;
  void* workspace;  ///< label_evidence_workspace() bytes, aligned to 64
  InteractionOf by;
  std::int64_t B, K, C;
  DType dtype;
};
std::int64_t label_evidence_workspace(const LabelEvidenceForward&, const CpuContext&);
Status label_evidence_forward(const LabelEvidenceForward&, const CpuContext&);

/// The gradients by overlaps (B,K) and labels (K,C), given that by the evidence. With
/// s_bk = sum_c devidence_bc (F'(o_bk + 2 labels_kc) - F'(o_bk)):
///   doverlaps_bk = s_bk,
///   dlabels_kc = sum_b 2 devidence_bc F'(o_bk + 2 labels_kc) - s_bk.
/// An element of devidence that is 0 adds nothing, whatever F' is there. Results too small to be
/// normal numbers of the dtype become 0: products with them would be slow, and mean nothing.
struct LabelEvidenceBackward {
  const void* overlaps;
  const void* labels;
  const void* devidence;
  void* doverlaps;
  void* dlabels;
  void* workspace;
  InteractionOf by;
  std::int64_t B, K, C;
  DType dtype;
};
std::int64_t label_evidence_workspace(const LabelEvidenceBackward&, const CpuContext&);
Status label_evidence_backward(const LabelEvidenceBackward&, const CpuContext&);

}  // namespace basin::kernels

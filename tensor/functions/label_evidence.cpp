#include "tensor/functions/label_evidence.h"

#include "tensor/check.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

template <class Params>
void set_problem(Params& p, const Tensor& overlaps, const Tensor& labels,
                 const kernels::InteractionOf& by) {
  p.overlaps = overlaps.raw();
  p.labels = labels.raw();
  p.by = by;
  p.B = overlaps.size(0);
  p.K = labels.size(0);
  p.C = labels.size(1);
  p.dtype = overlaps.dtype();
}

}  // namespace

Tensor label_evidence(const Tensor& overlaps, const Tensor& labels,
                      const kernels::InteractionOf& by) {
  check_same_floating("label_evidence", overlaps, labels);
  const kernels::CpuContext& context = cpu_only("label_evidence", overlaps);
  if (overlaps.rank() != 2 || labels.rank() != 2 || overlaps.size(1) != labels.size(0)) {
    fail(
        "[label_evidence] overlaps (inputs, memories) and labels (memories, labels) do not fit: "
        "{} and {}",
        describe(overlaps), describe(labels));
  }
  const Tensor z = overlaps.contiguous();
  const Tensor units = labels.contiguous();
  Tensor evidence = Tensor::empty({z.size(0), units.size(1)}, z.dtype());
  kernels::LabelEvidenceForward p{};
  set_problem(p, z, units, by);
  p.evidence = evidence.mutable_raw();
  Workspace workspace(kernels::label_evidence_workspace(p, context));
  p.workspace = workspace.data();
  check(kernels::label_evidence_forward(p, context), "label_evidence", overlaps, labels);
  return evidence;
}

LabelEvidenceGradients label_evidence_backward(const Tensor& overlaps, const Tensor& labels,
                                               const kernels::InteractionOf& by,
                                               const Tensor& devidence) {
  check_same_floating("label_evidence_backward", overlaps, labels, devidence);
  const kernels::CpuContext& context = cpu_only("label_evidence_backward", overlaps);
  const Tensor z = overlaps.contiguous();
  const Tensor units = labels.contiguous();
  const Tensor dy = devidence.contiguous();
  LabelEvidenceGradients result{Tensor::empty(z.shape(), z.dtype()),
                                Tensor::empty(units.shape(), z.dtype())};
  kernels::LabelEvidenceBackward p{};
  set_problem(p, z, units, by);
  p.devidence = dy.raw();
  p.doverlaps = result.doverlaps.mutable_raw();
  p.dlabels = result.dlabels.mutable_raw();
  Workspace workspace(kernels::label_evidence_workspace(p, context));
  p.workspace = workspace.data();
  check(kernels::label_evidence_backward(p, context), "label_evidence_backward", overlaps, labels,
        devidence);
  return result;
}

}  // namespace basin

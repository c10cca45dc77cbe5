// Variant 3 of retrieval on a GPU: the loop of softmax_attention_forward.cuh over gathered keys, of
// a top-k behind a search for its thresholds.
#include <algorithm>

#include "kernels/association/attention_launch.cuh"
#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/retrieval_tiles.h"

namespace basin::kernels {

namespace {

RetrievalThresholds thresholds_in_statistics(const RetrievalForward& p) {
  return p.dtype == DType::f64 ? thresholds_of<double>(p) : thresholds_of<float>(p);
}

}  // namespace

std::int64_t retrieval_tiles_forward_workspace(const RetrievalForward& p,
                                               const DeviceContext& context) {
  if (p.visibility.has_top()) {  // one after the other
    return std::max(retrieval_thresholds_workspace(thresholds_in_statistics(p), context),
                    attention_forward_bytes(shape_of(p), rule_of(p)));
  }
  if (retrieves_on_tensor_cores(p)) {
    return retrieval_tensor_forward_workspace(p, context);
  }
  return attention_forward_bytes(shape_of(p), rule_of(p));
}

Status retrieval_tiles_forward(const RetrievalForward& p, const DeviceContext& context) {
  if (p.B == 0 || p.H == 0 || p.visibility.L == 0) {
    return {};
  }
  GatheredRule rule = rule_of(p);
  if (p.visibility.has_top()) {
    const RetrievalThresholds search = thresholds_in_statistics(p);
    rule.thresholds = search.thresholds;
    rule.threshold_stride = search.stride;
    if (const Status status =
            find_retrieval_thresholds("retrieval_thresholds_forward", search, context);
        !status.ok()) {
      return status;
    }
  } else if (retrieves_on_tensor_cores(p)) {
    return retrieval_tensor_forward(p, context);
  }
  return launch_attention_forward("retrieval_tiles_forward", "retrieval_tiles_combine", shape_of(p),
                                  rule, context);
}

}  // namespace basin::kernels

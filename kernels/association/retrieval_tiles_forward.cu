// Variant 3 of retrieval on a GPU: the loop of softmax_attention_forward.cuh over gathered keys.
#include "kernels/association/attention_launch.cuh"
#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/retrieval_tiles.h"

namespace basin::kernels {

std::int64_t retrieval_tiles_forward_workspace(const RetrievalForward& p,
                                               const DeviceContext& context) {
  if (retrieves_on_tensor_cores(p)) {
    return retrieval_tensor_forward_workspace(p, context);
  }
  return attention_forward_bytes(shape_of(p), rule_of(p));
}

Status retrieval_tiles_forward(const RetrievalForward& p, const DeviceContext& context) {
  if (p.B == 0 || p.H == 0 || p.visibility.L == 0) {
    return {};
  }
  if (retrieves_on_tensor_cores(p)) {
    return retrieval_tensor_forward(p, context);
  }
  return launch_attention_forward("retrieval_tiles_forward", "retrieval_tiles_combine", shape_of(p),
                                  rule_of(p), context);
}

}  // namespace basin::kernels

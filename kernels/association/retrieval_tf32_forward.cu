#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/tensor_attention_launch.cuh"
#include "kernels/association/tensor_tf32.cuh"

namespace basin::kernels {

std::int64_t retrieval_tf32_forward_workspace(const RetrievalForward& p, const DeviceContext&) {
  return tensor_forward_bytes<Tf32Arithmetic>(shape_of(p), rule_of(p));
}

Status retrieval_tf32_forward(const RetrievalForward& p, const DeviceContext& context) {
  return dispatch_tensor_width<GatheredRule>(p, [&]<int kWidth>() {
    return launch_tensor_forward<Tf32Arithmetic, kWidth, true>(
        "retrieval_tf32_forward", "retrieval_tf32_combine", shape_of(p), rule_of(p), context);
  });
}

}  // namespace basin::kernels

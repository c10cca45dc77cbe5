#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/tensor_attention_launch.cuh"
#include "kernels/association/tensor_tf32.cuh"

namespace basin::kernels {

std::int64_t retrieval_tf32_backward_workspace(const RetrievalBackward& p, const DeviceContext&) {
  return tensor_backward_bytes<Tf32Arithmetic>(shape_of(p), rule_of(p));
}

Status retrieval_tf32_backward(const RetrievalBackward& p, const DeviceContext& context) {
  constexpr BackwardNames kNames = {
      "retrieval_tf32_delta",        "retrieval_tf32_backward_queries",
      "retrieval_tf32_backward_sum", "retrieval_tf32_backward_keys",
      "retrieval_tf32_dbeta",        "retrieval_tf32_lse"};
  return dispatch_tensor_width<GatheredRule>(p, [&]<int kWidth>() {
    return launch_tensor_backward<Tf32Arithmetic, kWidth>(kNames, shape_of(p), rule_of(p), context);
  });
}

}  // namespace basin::kernels

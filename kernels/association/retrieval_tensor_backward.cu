#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/tensor_attention_launch.cuh"
#include "kernels/association/tensor_bf16.cuh"

namespace basin::kernels {

std::int64_t retrieval_tensor_backward_workspace(const RetrievalBackward& p,
                                                 const DeviceContext& context) {
  if (p.dtype == DType::f32) {
    return retrieval_tf32_backward_workspace(p, context);
  }
  return tensor_backward_bytes<Bf16Arithmetic>(shape_of(p), rule_of(p));
}

Status retrieval_tensor_backward(const RetrievalBackward& p, const DeviceContext& context) {
  if (p.dtype == DType::f32) {
    return p.precision == Precision::tf32 ? retrieval_tf32_backward(p, context)
                                          : retrieval_split_backward(p, context);
  }
  constexpr BackwardNames kNames = {
      "retrieval_tensor_delta",        "retrieval_tensor_backward_queries",
      "retrieval_tensor_backward_sum", "retrieval_tensor_backward_keys",
      "retrieval_tensor_dbeta",        "retrieval_tensor_lse"};
  return dispatch_tensor_width<GatheredRule>(p, [&]<int kWidth>() {
    return launch_tensor_backward<Bf16Arithmetic, kWidth>(kNames, shape_of(p), rule_of(p), context);
  });
}

}  // namespace basin::kernels

#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/tensor_attention_launch.cuh"
#include "kernels/association/tensor_bf16.cuh"

namespace basin::kernels {

std::int64_t retrieval_tensor_forward_workspace(const RetrievalForward& p,
                                                const DeviceContext& context) {
  if (p.dtype == DType::f32) {
    return retrieval_tf32_forward_workspace(p, context);
  }
  return tensor_forward_bytes<Bf16Arithmetic>(shape_of(p), rule_of(p));
}

Status retrieval_tensor_forward(const RetrievalForward& p, const DeviceContext& context) {
  if (p.dtype == DType::f32) {
    return p.precision == Precision::tf32 ? retrieval_tf32_forward(p, context)
                                          : retrieval_split_forward(p, context);
  }
  return dispatch_tensor_width<GatheredRule>(p, [&]<int kWidth>() {
    return launch_tensor_forward<Bf16Arithmetic, kWidth, true>(
        "retrieval_tensor_forward", "retrieval_tensor_combine", shape_of(p), rule_of(p), context);
  });
}

}  // namespace basin::kernels

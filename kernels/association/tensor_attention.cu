#include "kernels/association/tensor_attention.h"

#include "kernels/association/tensor_attention_launch.cuh"
#include "kernels/association/tensor_bf16.cuh"

namespace basin::kernels {

std::int64_t tensor_attention_forward_workspace(const AttentionForward& p,
                                                const DeviceContext& context) {
  if (p.dtype == DType::f32) {
    return tf32_attention_forward_workspace(p, context);
  }
  return tensor_forward_bytes<Bf16Arithmetic>(p, PrefixRule{});
}

Status tensor_attention_forward(const AttentionForward& p, const DeviceContext& context) {
  if (p.dtype == DType::f32) {
    return tf32_attention_forward(p, context);
  }
  constexpr const char* kCombine = "tensor_attention_combine";
  return dispatch_tensor_width<PrefixRule>(p, [&]<int kWidth>() {
    return p.variant == 1
               ? launch_tensor_forward<Bf16Arithmetic, kWidth, false>(
                     "tensor_attention_forward_in_turn", kCombine, p, PrefixRule{}, context)
               : launch_tensor_forward<Bf16Arithmetic, kWidth, true>(
                     "tensor_attention_forward", kCombine, p, PrefixRule{}, context);
  });
}

std::int64_t tensor_attention_backward_workspace(const AttentionBackward& p,
                                                 const DeviceContext& context) {
  if (p.dtype == DType::f32) {
    return tf32_attention_backward_workspace(p, context);
  }
  return tensor_backward_bytes<Bf16Arithmetic>(p, PrefixRule{});
}

Status tensor_attention_backward(const AttentionBackward& p, const DeviceContext& context) {
  if (p.dtype == DType::f32) {
    return tf32_attention_backward(p, context);
  }
  constexpr BackwardNames kNames = {"tensor_attention_delta", "tensor_attention_backward_queries",
                                    "tensor_attention_backward_sum",
                                    "tensor_attention_backward_keys", "tensor_attention_dbeta"};
  return dispatch_tensor_width<PrefixRule>(p, [&]<int kWidth>() {
    return launch_tensor_backward<Bf16Arithmetic, kWidth>(kNames, p, PrefixRule{}, context);
  });
}

}  // namespace basin::kernels

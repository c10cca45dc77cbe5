// Attention in tf32 and, split, in f32: a file of its own, which nvcc compiles beside the one for
// bf16. They are two kernels and not one with a flag: that would have the registers of the larger
// one, forward at width 64 for instance 166 instead of 115 (nvcc 13.0, sm_80).
#include "kernels/association/tensor_attention.h"
#include "kernels/association/tensor_attention_launch.cuh"
#include "kernels/association/tensor_tf32.cuh"

namespace basin::kernels {

// The tiles of both are the same, and so is what they leave in between.
std::int64_t tf32_attention_forward_workspace(const AttentionForward& p, const DeviceContext&) {
  return tensor_forward_bytes<Tf32Arithmetic>(p, PrefixRule{});
}

Status tf32_attention_forward(const AttentionForward& p, const DeviceContext& context) {
  return dispatch_tensor_width<PrefixRule>(p, [&]<int kWidth>() {
    return p.precision == Precision::tf32
               ? launch_tensor_forward<Tf32Arithmetic, kWidth, true>(
                     "tf32_attention_forward", "tf32_attention_combine", p, PrefixRule{}, context)
               : launch_tensor_forward<SplitTf32Arithmetic, kWidth, true>("split_attention_forward",
                                                                          "split_attention_combine",
                                                                          p, PrefixRule{}, context);
  });
}

std::int64_t tf32_attention_backward_workspace(const AttentionBackward& p, const DeviceContext&) {
  return tensor_backward_bytes<Tf32Arithmetic>(p, PrefixRule{});
}

Status tf32_attention_backward(const AttentionBackward& p, const DeviceContext& context) {
  constexpr BackwardNames kTf32 = {"tf32_attention_delta", "tf32_attention_backward_queries",
                                   "tf32_attention_backward_sum", "tf32_attention_backward_keys",
                                   "tf32_attention_dbeta"};
  constexpr BackwardNames kSplit = {"split_attention_delta", "split_attention_backward_queries",
                                    "split_attention_backward_sum", "split_attention_backward_keys",
                                    "split_attention_dbeta"};
  return dispatch_tensor_width<PrefixRule>(p, [&]<int kWidth>() {
    return p.precision == Precision::tf32
               ? launch_tensor_backward<Tf32Arithmetic, kWidth>(kTf32, p, PrefixRule{}, context)
               : launch_tensor_backward<SplitTf32Arithmetic, kWidth>(kSplit, p, PrefixRule{},
                                                                     context);
  });
}

}  // namespace basin::kernels

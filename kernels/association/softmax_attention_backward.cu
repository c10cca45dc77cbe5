#include "kernels/association/attention_launch.cuh"
#include "kernels/association/check.h"
#include "kernels/association/tensor_attention.h"

namespace basin::kernels {

std::int64_t attention_backward_workspace(const AttentionBackward& p,
                                          const DeviceContext& context) {
  return p.dtype == DType::bf16 ? tensor_attention_backward_workspace(p, context)
                                : attention_backward_bytes(p, PrefixRule{});
}

Status attention_backward(const AttentionBackward& p, const DeviceContext& context) {
  if (const Status status = check_attention(p, 0); !status.ok()) {
    return status;
  }
  if (p.H == 0) {
    return {};
  }
  if (p.dtype == DType::bf16) {
    return tensor_attention_backward(p, context);
  }
  return launch_attention_backward(
      {"attention_backward_delta", "attention_backward_queries", "attention_backward_sum",
       "attention_backward_keys", "attention_backward_dbeta"},
      p, PrefixRule{}, context);
}

}  // namespace basin::kernels

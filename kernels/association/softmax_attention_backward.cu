#include "kernels/association/attention_launch.cuh"
#include "kernels/association/check.h"
#include "kernels/association/tensor_attention.h"

namespace basin::kernels {

std::int64_t attention_backward_workspace(const AttentionBackward& p,
                                          const DeviceContext& context) {
  return is_on_tensor_cores(p) ? tensor_attention_backward_workspace(p, context)
                               : attention_backward_bytes(p, PrefixRule{});
}

Status attention_backward(const AttentionBackward& p, const DeviceContext& context) {
  if (const Status status = check_attention(p, 3); !status.ok()) {
    return status;
  }
  if (p.variant == 1) {
    return Status::invalid("attention: there is no such variant");
  }
  if (const Status status = check_products(p); !status.ok()) {
    return status;
  }
  if (p.H == 0) {
    return {};
  }
  if (is_on_tensor_cores(p)) {
    return tensor_attention_backward(p, context);
  }
  return launch_attention_backward(
      {"attention_backward_delta", "attention_backward_queries", "attention_backward_sum",
       "attention_backward_keys", "attention_backward_dbeta"},
      p, PrefixRule{}, context);
}

}  // namespace basin::kernels

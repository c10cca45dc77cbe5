#include "kernels/association/attention_by_threads.h"
#include "kernels/association/attention_launch.cuh"
#include "kernels/association/check.h"
#include "kernels/association/tensor_attention.h"

namespace basin::kernels {

std::int64_t attention_forward_workspace(const AttentionForward& p, const DeviceContext& context) {
  return is_on_tensor_cores(p) ? tensor_attention_forward_workspace(p, context)
                               : attention_forward_bytes(p, PrefixRule{});
}

Status attention_forward(const AttentionForward& p, const DeviceContext& context) {
  if (const Status status = check_attention(p, 3); !status.ok()) {
    return status;
  }
  if (const Status status = check_products(p); !status.ok()) {
    return status;
  }
  if (p.B == 0 || p.H == 0 || p.L == 0) {
    return {};
  }
  if (is_on_tensor_cores(p)) {
    return tensor_attention_forward(p, context);
  }
  if (p.variant == 1) {
    return attention_by_threads(p, context);
  }
  return launch_attention_forward("attention_forward", "attention_combine", p, PrefixRule{},
                                  context);
}

}  // namespace basin::kernels

#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/tensor_attention_launch.cuh"
#include "kernels/association/tensor_tf32.cuh"

namespace basin::kernels {

Status retrieval_split_forward(const RetrievalForward& p, const DeviceContext& context) {
  return dispatch_tensor_width<GatheredRule>(p, [&]<int kWidth>() {
    return launch_tensor_forward<SplitTf32Arithmetic, kWidth, true>(
        "retrieval_split_forward", "retrieval_split_combine", shape_of(p), rule_of(p), context);
  });
}

}  // namespace basin::kernels

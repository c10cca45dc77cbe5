#include "kernels/association/retrieval_rule.cuh"
#include "kernels/association/retrieval_tensor.h"
#include "kernels/association/tensor_attention_launch.cuh"
#include "kernels/association/tensor_tf32.cuh"

namespace basin::kernels {

Status retrieval_split_backward(const RetrievalBackward& p, const DeviceContext& context) {
  constexpr BackwardNames kNames = {
      "retrieval_split_delta",        "retrieval_split_backward_queries",
      "retrieval_split_backward_sum", "retrieval_split_backward_keys",
      "retrieval_split_dbeta",        "retrieval_split_lse"};
  return dispatch_tensor_width<GatheredRule>(p, [&]<int kWidth>() {
    return launch_tensor_backward<SplitTf32Arithmetic, kWidth>(kNames, shape_of(p), rule_of(p),
                                                               context);
  });
}

}  // namespace basin::kernels

// The gradients of variant 3 of retrieval on a GPU: the loop of softmax_attention_backward.cuh over
// gathered keys and queries.
#include "kernels/association/attention_launch.cuh"
#include "kernels/association/gathered_walk.cuh"
#include "kernels/association/retrieval_tiles.h"

namespace basin::kernels {

namespace {

AttentionBackward shape_of(const RetrievalBackward& p) {
  return {p.q,
          p.k,
          p.v,
          p.out,
          p.dout,
          p.dq,
          p.dk,
          p.dv,
          p.beta,
          p.dbeta,
          nullptr,
          nullptr,
          p.workspace,
          p.B,
          p.H,
          p.visibility.L,
          p.visibility.M,
          p.D,
          p.Dv,
          p.visibility.causal,
          p.dtype};
}

GatheredRule rule_of(const RetrievalBackward& p) {
  GatheredRule rule;
  rule.seen = p.visibility;
  rule.dropout = p.dropout;
  rule.normalise_all = p.separation.normalise_all;
  rule.statistics = const_cast<void*>(p.statistics);  // which a backward pass reads
  return rule;
}

// Softmax has no exponent.
template <class T>
BASIN_KERNEL void retrieval_no_dalpha_kernel(T* dalpha, std::int64_t H) {
  const std::int64_t h = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (h < H) {
    dalpha[h] = T(0);
  }
}

}  // namespace

std::int64_t retrieval_tiles_backward_workspace(const RetrievalBackward& p, const DeviceContext&) {
  return attention_backward_bytes(shape_of(p), rule_of(p));
}

Status retrieval_tiles_backward(const RetrievalBackward& p, const DeviceContext& context) {
  if (p.H == 0) {
    return {};
  }
  const Status status = launch_attention_backward(
      {"retrieval_tiles_delta", "retrieval_tiles_backward_queries", "retrieval_tiles_backward_sum",
       "retrieval_tiles_backward_keys", "retrieval_tiles_dbeta"},
      shape_of(p), rule_of(p), context);
  if (!status.ok() || p.dalpha == nullptr) {
    return status;
  }
  constexpr unsigned kThreads = 256;
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    return launch({"retrieval_tiles_no_dalpha",
                   {static_cast<unsigned>(pieces_of(p.H, kThreads)), 1, 1},
                   {kThreads, 1, 1}},
                  context, retrieval_no_dalpha_kernel<T>, static_cast<T*>(p.dalpha), p.H);
  });
}

}  // namespace basin::kernels

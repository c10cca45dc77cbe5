// Variant 3 of retrieval on a GPU: the loop of softmax_attention_forward.cuh over gathered keys.
#include "kernels/association/attention_launch.cuh"
#include "kernels/association/gathered_walk.cuh"
#include "kernels/association/retrieval_tiles.h"

namespace basin::kernels {

namespace {

AttentionForward shape_of(const RetrievalForward& p) {
  return {p.q,
          p.k,
          p.v,
          p.out,
          p.beta,
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

GatheredRule rule_of(const RetrievalForward& p) {
  GatheredRule rule;
  rule.seen = p.visibility;
  rule.dropout = p.dropout;
  rule.normalise_all = p.separation.normalise_all;
  rule.statistics = p.statistics;
  rule.steps = p.steps;
  return rule;
}

}  // namespace

std::int64_t retrieval_tiles_forward_workspace(const RetrievalForward& p, const DeviceContext&) {
  return attention_forward_bytes(shape_of(p), rule_of(p));
}

Status retrieval_tiles_forward(const RetrievalForward& p, const DeviceContext& context) {
  if (p.B == 0 || p.H == 0 || p.visibility.L == 0) {
    return {};
  }
  return launch_attention_forward("retrieval_tiles_forward", "retrieval_tiles_combine", shape_of(p),
                                  rule_of(p), context);
}

}  // namespace basin::kernels

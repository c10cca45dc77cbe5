// Retrieval as attention under a rule of visibility: what variant 3 hands to the loops for a GPU.
#pragma once

#include "kernels/association/gathered_walk.cuh"
#include "kernels/association/retrieval.h"
#include "kernels/association/retrieval_thresholds.h"
#include "kernels/association/softmax_attention.h"

namespace basin::kernels {

namespace {

inline AttentionForward shape_of(const RetrievalForward& p) {
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
          p.dtype,
          0,
          p.precision};
}

inline GatheredRule rule_of(const RetrievalForward& p) {
  GatheredRule rule;
  rule.seen = p.visibility;
  rule.dropout = p.dropout;
  rule.normalise_all = p.separation.normalise_all;
  rule.statistics = p.statistics;
  rule.steps = p.steps;
  return rule;
}

/// Of a top-k: the thresholds go where the statistics have them.
template <class T>
RetrievalThresholds thresholds_of(const RetrievalForward& p) {
  return {p.q, p.k,     p.beta,      p.visibility, static_cast<T*>(p.statistics) + 2,
          3,   nullptr, p.workspace, p.B,          p.H,
          p.D, p.Dv,    p.dtype};
}

inline AttentionBackward shape_of(const RetrievalBackward& p) {
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
          p.dtype,
          0,
          p.precision};
}

inline GatheredRule rule_of(const RetrievalBackward& p) {
  GatheredRule rule;
  rule.seen = p.visibility;
  rule.dropout = p.dropout;
  rule.normalise_all = p.separation.normalise_all;
  rule.statistics = const_cast<void*>(p.statistics);  // which a backward pass reads
  return rule;
}

/// Those of a forward pass may be of scores that another variant rounded in another way, so they
/// are found once more, from there: in the order of the queries at `thresholds`.
inline RetrievalThresholds thresholds_of(const RetrievalBackward& p, void* thresholds,
                                         void* workspace) {
  return {p.q,       p.k, p.beta, p.visibility, thresholds, 1,      p.statistics,
          workspace, p.B, p.H,    p.D,          p.Dv,       p.dtype};
}

}  // namespace

}  // namespace basin::kernels

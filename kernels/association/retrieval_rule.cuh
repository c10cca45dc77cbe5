// Retrieval as attention under a rule of visibility: what variant 3 hands to the loops for a GPU.
#pragma once

#include "kernels/association/gathered_walk.cuh"
#include "kernels/association/retrieval.h"
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

}  // namespace

}  // namespace basin::kernels

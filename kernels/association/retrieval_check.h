// What the retrieval kernels demand of their arguments on every device. Exponents of entmax, which
// may lie on a GPU, are not looked at here.
#pragma once

#include "kernels/association/heads.h"
#include "kernels/association/retrieval.h"
#include "kernels/common/status.h"

namespace basin::kernels {

template <class P>
Status check_retrieval_rule(const P& p) {
  const Visibility& s = p.visibility;
  if (p.B < 0 || p.H < 0 || s.L < 0 || s.M < 0 || p.D <= 0) {
    return Status::invalid("retrieval: negative extent or empty head width");
  }
  // Counters of the random mask hold 32 bits of each index.
  constexpr std::int64_t kMostRows = std::int64_t{1} << 31;
  if (s.L > kMostRows || s.M > kMostRows || p.B > kMostRows || p.H > kMostRows) {
    return Status::invalid("retrieval: more than 2^31 rows, batch items or heads");
  }
  if (s.dilation < 1 || s.global_tokens < 0 || s.top_k < 0 || !(s.top_fraction >= 0) ||
      s.query_shift < 0 || s.query_shift > 31 || s.key_shift < 0 || s.key_shift > 31) {
    return Status::invalid("retrieval: a number of the visibility is out of range");
  }
  if (is_kernelised(p.separation.kind)) {
    return Status::invalid("retrieval: a kernelised separation has a kernel of its own");
  }
  if (p.separation.kind == Separation::polynomial && p.separation.degree < 2) {
    return Status::invalid("retrieval: the degree of polynomial separation is at least 2");
  }
  if (p.separation.kind == Separation::entmax && p.separation.alpha == nullptr) {
    return Status::invalid("retrieval: entmax needs alpha");
  }
  return {};
}

/// Of a forward or backward pass, after check_retrieval_rule().
template <class P>
Status check_retrieval_pass(const P& p) {
  const std::int64_t L = p.visibility.L;
  const std::int64_t M = p.visibility.M;
  bool fit = p.Dv > 0 && rows_fit(p.q, L, p.D) && rows_fit(p.k, M, p.D) && rows_fit(p.v, M, p.Dv) &&
             rows_fit(p.out, L, p.Dv);
  if constexpr (requires { p.dq; }) {
    fit = fit && rows_fit(p.dout, L, p.Dv) && rows_fit(p.dq, L, p.D) && rows_fit(p.dk, M, p.D) &&
          rows_fit(p.dv, M, p.Dv);
  }
  if (!fit) {
    return Status::invalid("retrieval: a row_stride is smaller than the row");
  }
  if (p.update_steps < 1 || p.update_steps > kMostUpdateSteps || !(p.tolerance >= 0)) {
    return Status::invalid("retrieval: update_steps must be 1 ... 2^20 and tolerance at least 0");
  }
  if (!(p.dropout.p >= 0 && p.dropout.p < 1)) {
    return Status::invalid("retrieval: dropout of weights must be in [0, 1)");
  }
  return {};
}

/// Of an energy, after check_retrieval_rule().
inline Status check_retrieval_energy(const RetrievalEnergy& p) {
  if (!rows_fit(p.q, p.visibility.L, p.D) || !rows_fit(p.k, p.visibility.M, p.D)) {
    return Status::invalid("retrieval: a row_stride is smaller than the row");
  }
  if (p.separation.kind == Separation::polynomial || p.separation.normalise_all) {
    return Status::invalid("retrieval: no energy is known for polynomial or dropped weights");
  }
  return {};
}

}  // namespace basin::kernels

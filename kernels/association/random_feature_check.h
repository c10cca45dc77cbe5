// What the kernels of random features demand of their arguments.
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// P is RandomFeatureForward or RandomFeatureBackward.
template <class P>
Status check_random_features(const P& p, int last_variant) {
  constexpr std::int64_t kMostFeatures = 1 << 16;
  if (p.B < 0 || p.H < 0 || p.L < 0 || p.M < 0 || p.D <= 0 || p.Dv <= 0) {
    return Status::invalid("random_feature_attention: negative extent or empty head width");
  }
  if (p.features < 1 || p.features > kMostFeatures) {
    return Status::invalid("random_feature_attention: needs 1 ... 65536 features");
  }
  bool fit = rows_fit(p.q, p.L, p.D) && rows_fit(p.k, p.M, p.D) && rows_fit(p.v, p.M, p.Dv) &&
             rows_fit(p.out, p.L, p.Dv);
  if constexpr (requires { p.dq; }) {
    fit = fit && rows_fit(p.dout, p.L, p.Dv) && rows_fit(p.dq, p.L, p.D) &&
          rows_fit(p.dk, p.M, p.D) && rows_fit(p.dv, p.M, p.Dv);
  }
  if (!fit) {
    return Status::invalid("random_feature_attention: a row_stride is smaller than the row");
  }
  if (p.variant < 0 || p.variant > last_variant) {
    return Status::invalid("random_feature_attention: there is no such variant");
  }
  return {};
}

}  // namespace basin::kernels

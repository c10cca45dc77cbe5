// What the attention kernels demand of their arguments.
#pragma once

#include "kernels/association/heads.h"
#include "kernels/common/dtype.h"
#include "kernels/common/precision.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// P is AttentionForward, AttentionBackward or one of their linear counterparts.
template <class P>
Status check_attention(const P& p, int last_variant) {
  if (p.B < 0 || p.H < 0 || p.L < 0 || p.M < 0 || p.D <= 0 || p.Dv <= 0) {
    return Status::invalid("attention: negative extent or empty head width");
  }
  bool fit = rows_fit(p.q, p.L, p.D) && rows_fit(p.k, p.M, p.D) && rows_fit(p.v, p.M, p.Dv) &&
             rows_fit(p.out, p.L, p.Dv);
  if constexpr (requires { p.dq; }) {
    fit = fit && rows_fit(p.dout, p.L, p.Dv) && rows_fit(p.dq, p.L, p.D) &&
          rows_fit(p.dk, p.M, p.D) && rows_fit(p.dv, p.M, p.Dv);
  }
  if (!fit) {
    return Status::invalid("attention: a row_stride is smaller than the row");
  }
  if (p.variant < 0 || p.variant > last_variant) {
    return Status::invalid("attention: there is no such variant");
  }
  return {};
}

/// Of softmax attention and retrieval on a GPU: what they can multiply in which precision.
template <class P>
Status check_precision(const P& p) {
  if (p.precision == Precision::bf16 || (p.precision == Precision::tf32 && p.dtype != DType::f32)) {
    return Status::invalid(
        "products of arrays in f32 are in f32 or tf32, of others in what they are stored in");
  }
  if (p.precision == Precision::tf32 && p.variant != 0) {
    return Status::invalid("products in tf32 have one variant");
  }
  return {};
}

/// And by which variant, where softmax over a prefix of the keys has kernels of its own.
template <class P>
Status check_products(const P& p) {
  if (const Status status = check_precision(p); !status.ok()) {
    return status;
  }
  if (p.variant == 3 && p.dtype != DType::f32) {
    return Status::invalid("attention: variant 3 is for f32");
  }
  return {};
}

}  // namespace basin::kernels

// One retrieval step: queries read values through their similarity to keys.
#pragma once

#include "kernels/association/options.h"
#include "kernels/common/precision.h"
#include "tensor/tensor.h"

namespace basin {

/// The arrays of one retrieval: q (B,H,L,D), k (B,H,M,D), v (B,H,M,Dv); any strides with innermost
/// stride 1 are used in place. beta (H) is used by softmax only. key_lengths (B) i64 or undefined:
/// keys at and beyond the length are padding.
struct AssociationInputs {
  Tensor q, k, v, beta, key_lengths;
  bool causal = false;
};

struct AttentionResult {
  Tensor out;         ///< (B,H,L,Dv), stored as (B,L,H,Dv) so that the heads join without a copy
  Tensor statistics;  ///< (B,H,L): log-sum-exp for softmax, normaliser for linear
};

struct AttentionGradients {
  Tensor dq, dk, dv;
  Tensor dbeta;  ///< (H); undefined for linear attention
};

/// See kernels::AttentionForward. On the executor and on a GPU q, k, v and dout may be bf16, for
/// tensor cores; out, dq, dk and dv are bf16 then, and beta, statistics and dbeta f32. With the
/// precision tf32 they multiply arrays of f32 in tf32 there; the CPU multiplies what it gets, that
/// is attention_factor() of all. Throws Error for shapes or dtypes that do not fit.
AttentionResult attention(const AssociationInputs&, Precision precision = Precision::f32);
AttentionGradients attention_backward(const AssociationInputs&, const AttentionResult&,
                                      const Tensor& dout, Precision precision = Precision::f32);

/// An f32 array of heads as softmax attention multiplies it in a precision, and linear attention in
/// bf16. bf16: in bf16 on the executor and on a GPU, on the CPU, which has no kernel for that, in
/// f32 with as few bits. tf32: on the CPU with as few bits, elsewhere as it is, for the kernel
/// rounds. f32: as it is.
Tensor attention_factor(const Tensor& x, Precision precision);
/// What came out of it, in f32, stored as it was: (B,rows,H,width).
Tensor from_attention(const Tensor& heads);

/// See kernels::Rotary: x (B,H,L,D), D even; the result is stored as (B,L,H,D). `inverse` is also
/// the gradient.
inline constexpr double kRotaryBase = 10000.0;
Tensor rotary(const Tensor& x, bool inverse = false);

/// See kernels::LinearAttentionForward; bf16 as in attention(), with statistics in f32.
inline constexpr double kLinearAttentionEps = 1e-6;
AttentionResult linear_attention(const AssociationInputs&);
AttentionGradients linear_attention_backward(const AssociationInputs&, const AttentionResult&,
                                             const Tensor& dout);

}  // namespace basin

#include "tensor/functions/association.h"

#include "kernels/association/linear_attention.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/gemm/round_factors.h"
#include "kernels/rotary/rotary.h"
#include "tensor/check.h"
#include "tensor/functions/association_arrays.h"
#include "tensor/workspace.h"

namespace basin {

using association::empty_heads;
using association::head_layout;
using association::input;
using association::output;
using association::Prepared;

namespace {

// The part of a backward call that both mechanisms share: dout in layout, gradients allocated.
template <class Params>
AttentionGradients prepare_backward(Params& p, const Prepared& in, const Tensor& out,
                                    const Tensor& dout) {
  AttentionGradients result;
  result.dq = empty_heads(in.B, in.H, in.L, in.D, in.q);
  result.dk = empty_heads(in.B, in.H, in.M, in.D, in.q);
  result.dv = empty_heads(in.B, in.H, in.M, in.Dv, in.q);
  p.out = input(out);
  p.dout = input(dout);
  p.dq = output(result.dq);
  p.dk = output(result.dk);
  p.dv = output(result.dv);
  return result;
}

}  // namespace

AttentionResult attention(const AssociationInputs& inputs, Precision precision) {
  const Prepared in(inputs.q, inputs.k, inputs.v, inputs.beta, inputs.key_lengths, "attention",
                    true);
  AttentionResult result{empty_heads(in.B, in.H, in.L, in.Dv, in.q),
                         Tensor::empty({in.B, in.H, in.L}, in.per_head_dtype(), in.q.device())};
  kernels::AttentionForward p{};
  in.fill_in(p, inputs.causal);
  p.precision = in.kernel_precision(precision);
  p.out = output(result.out);
  p.beta = in.beta.raw();
  p.lse = result.statistics.mutable_raw();
  Workspace workspace(
      on_device(in.q.device(),
                [&](const auto& at) { return kernels::attention_forward_workspace(p, at); }),
      in.q.device());
  p.workspace = workspace.data();
  check(on_device(in.q.device(), [&](const auto& at) { return kernels::attention_forward(p, at); }),
        "attention", in.q, in.k, in.v);
  return result;
}

AttentionGradients attention_backward(const AssociationInputs& inputs,
                                      const AttentionResult& forward, const Tensor& dout,
                                      Precision precision) {
  const Prepared in(inputs.q, inputs.k, inputs.v, inputs.beta, inputs.key_lengths,
                    "attention_backward", true);
  association::check_same_heads("attention_backward", true, in.q, dout);
  kernels::AttentionBackward p{};
  in.fill_in(p, inputs.causal);
  p.precision = in.kernel_precision(precision);
  const Tensor gradient = head_layout(dout);
  AttentionGradients result = prepare_backward(p, in, forward.out, gradient);
  result.dbeta = Tensor::empty({in.H}, in.per_head_dtype(), in.q.device());
  p.beta = in.beta.raw();
  p.dbeta = result.dbeta.mutable_raw();
  p.lse = forward.statistics.raw();
  Workspace workspace(
      on_device(in.q.device(),
                [&](const auto& at) { return kernels::attention_backward_workspace(p, at); }),
      in.q.device());
  p.workspace = workspace.data();
  check(
      on_device(in.q.device(), [&](const auto& at) { return kernels::attention_backward(p, at); }),
      "attention_backward", in.q, in.k, in.v);
  return result;
}

Tensor attention_factor(const Tensor& x, Precision precision) {
  check_precision("attention", precision, x);
  const bool on_cpu = x.device() == Device::cpu;
  if (precision == Precision::f32 || (precision == Precision::tf32 && !on_cpu)) {
    return x;
  }
  // (B,rows,H,width) in memory, as projections are: one pass over rows of all heads.
  if (precision == Precision::tf32) {
    const Tensor from = x.transpose(1, 2).contiguous();
    Tensor to = Tensor::empty(from.shape(), from.dtype(), from.device());
    const std::int64_t width = from.size(-1);
    const std::int64_t rows = width == 0 ? 0 : from.numel() / width;
    const kernels::RoundFactors p{static_cast<const float*>(from.raw()),
                                  to.mutable_raw(),
                                  1,
                                  rows,
                                  width,
                                  width,
                                  0,
                                  width,
                                  0,
                                  precision};
    check(on_device(x.device(), [&](const auto& at) { return kernels::round_factors(p, at); }),
          "attention", x);
    return to.transpose(1, 2);
  }
  const Tensor halves = x.transpose(1, 2).to(DType::bf16);
  return (on_cpu ? halves.to(DType::f32) : halves).transpose(1, 2);
}

Tensor from_attention(const Tensor& heads) {
  return heads.transpose(1, 2).to(DType::f32).transpose(1, 2);
}

Tensor rotary(const Tensor& x, bool inverse) {
  check_same_floating("rotary", x);
  if (x.rank() != 4) {
    fail("[rotary] needs (B, H, L, D), got {}", describe(x));
  }
  const Tensor source = head_layout(x);
  Tensor y = empty_heads(x.size(0), x.size(1), x.size(2), x.size(3), x);
  const kernels::Rotary p{input(source), output(y),   x.size(0), x.size(1), x.size(2),
                          x.size(3),     kRotaryBase, inverse,   x.dtype()};
  check(on_device(x.device(), [&](const auto& at) { return kernels::rotary(p, at); }), "rotary", x);
  return y;
}

AttentionResult linear_attention(const AssociationInputs& inputs) {
  const Prepared in(inputs.q, inputs.k, inputs.v, Tensor(), inputs.key_lengths, "linear_attention",
                    true);
  AttentionResult result{empty_heads(in.B, in.H, in.L, in.Dv, in.q),
                         Tensor::empty({in.B, in.H, in.L}, in.per_head_dtype(), in.q.device())};
  kernels::LinearAttentionForward p{};
  in.fill_in(p, inputs.causal);
  p.out = output(result.out);
  p.normaliser = result.statistics.mutable_raw();
  p.eps = kLinearAttentionEps;
  Workspace workspace(
      on_device(in.q.device(),
                [&](const auto& at) { return kernels::linear_attention_forward_workspace(p, at); }),
      in.q.device());
  p.workspace = workspace.data();
  check(on_device(in.q.device(),
                  [&](const auto& at) { return kernels::linear_attention_forward(p, at); }),
        "linear_attention", in.q, in.k, in.v);
  return result;
}

AttentionGradients linear_attention_backward(const AssociationInputs& inputs,
                                             const AttentionResult& forward, const Tensor& dout) {
  const Prepared in(inputs.q, inputs.k, inputs.v, Tensor(), inputs.key_lengths,
                    "linear_attention_backward", true);
  association::check_same_heads("linear_attention_backward", true, in.q, dout);
  kernels::LinearAttentionBackward p{};
  in.fill_in(p, inputs.causal);
  const Tensor gradient = head_layout(dout);
  AttentionGradients result = prepare_backward(p, in, forward.out, gradient);
  p.normaliser = forward.statistics.raw();
  p.eps = kLinearAttentionEps;
  Workspace workspace(on_device(in.q.device(),
                                [&](const auto& at) {
                                  return kernels::linear_attention_backward_workspace(p, at);
                                }),
                      in.q.device());
  p.workspace = workspace.data();
  check(on_device(in.q.device(),
                  [&](const auto& at) { return kernels::linear_attention_backward(p, at); }),
        "linear_attention_backward", in.q, in.k, in.v);
  return result;
}

}  // namespace basin

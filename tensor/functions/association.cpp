#include "tensor/functions/association.h"

#include "kernels/association/linear_attention.h"
#include "kernels/association/softmax_attention.h"
#include "kernels/rotary/rotary.h"
#include "tensor/check.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

// Innermost stride 1 is all the kernels ask for.
Tensor head_layout(const Tensor& x) {
  return x.size(-1) == 1 || x.strides()[3] == 1 ? x : x.contiguous();
}

kernels::HeadView view_of(const Tensor& x, const void* data) {
  return {const_cast<void*>(data), x.strides()[0], x.strides()[1], x.strides()[2]};
}
kernels::HeadView input(const Tensor& x) { return view_of(x, x.raw()); }
kernels::HeadView output(Tensor& x) { return view_of(x, x.mutable_raw()); }

// A (B,H,rows,width) tensor stored as (B,rows,H,width).
Tensor empty_heads(std::int64_t B, std::int64_t H, std::int64_t rows, std::int64_t width,
                   DType dtype) {
  return Tensor::empty({B, rows, H, width}, dtype).transpose(1, 2);
}

// Checked inputs in a layout the kernels take.
struct Prepared {
  Tensor q, k, v, beta, key_lengths;
  std::int64_t B, H, L, M, D, Dv;

  Prepared(const AssociationInputs& in, bool with_beta, const char* where) {
    check_same_floating(where, in.q, in.k, in.v);
    const auto same = [](const Tensor& a, const Tensor& b, int dim) {
      return a.size(dim) == b.size(dim);
    };
    if (in.q.rank() != 4 || in.k.rank() != 4 || in.v.rank() != 4 || !same(in.q, in.k, 0) ||
        !same(in.q, in.k, 1) || !same(in.q, in.k, 3) || !same(in.k, in.v, 0) ||
        !same(in.k, in.v, 1) || !same(in.k, in.v, 2)) {
      fail("[{}] needs q (B,H,L,D), k (B,H,M,D) and v (B,H,M,Dv); got {}, {} and {}", where,
           describe(in.q), describe(in.k), describe(in.v));
    }
    q = head_layout(in.q);
    k = head_layout(in.k);
    v = head_layout(in.v);
    B = q.size(0);
    H = q.size(1);
    L = q.size(2);
    D = q.size(3);
    M = k.size(2);
    Dv = v.size(3);
    if (with_beta) {
      check_same_floating(where, in.q, in.beta);
      if (!(in.beta.shape() == Shape{H})) {
        fail("[{}] beta must have one entry per head, ({}); got {}", where, H, describe(in.beta));
      }
      beta = in.beta.contiguous();
    }
    if (in.key_lengths.defined()) {
      if (!(in.key_lengths.shape() == Shape{B}) || in.key_lengths.dtype() != DType::i64) {
        fail("[{}] key_lengths must be ({}) i64, got {}", where, B, describe(in.key_lengths));
      }
      key_lengths = in.key_lengths.contiguous();
      const std::int64_t* length = key_lengths.data<std::int64_t>();
      for (std::int64_t b = 0; b < B; ++b) {
        if (length[b] < 0 || length[b] > M) {
          fail("[{}] key length {} of batch item {} lies outside [0, {}]", where, length[b], b, M);
        }
      }
    }
  }

  const std::int64_t* lengths() const {
    return key_lengths.defined() ? key_lengths.data<std::int64_t>() : nullptr;
  }

  template <class Params>
  void fill_in(Params& p, bool causal) const {
    p.q = input(q);
    p.k = input(k);
    p.v = input(v);
    p.key_lengths = lengths();
    p.B = B;
    p.H = H;
    p.L = L;
    p.M = M;
    p.D = D;
    p.Dv = Dv;
    p.causal = causal;
    p.dtype = q.dtype();
  }
};

// The part of a backward call that both mechanisms share: dout in layout, gradients allocated.
template <class Params>
AttentionGradients prepare_backward(Params& p, const Prepared& in, const Tensor& out,
                                    const Tensor& dout) {
  AttentionGradients result;
  result.dq = empty_heads(in.B, in.H, in.L, in.D, in.q.dtype());
  result.dk = empty_heads(in.B, in.H, in.M, in.D, in.q.dtype());
  result.dv = empty_heads(in.B, in.H, in.M, in.Dv, in.q.dtype());
  p.out = input(out);
  p.dout = input(dout);
  p.dq = output(result.dq);
  p.dk = output(result.dk);
  p.dv = output(result.dv);
  return result;
}

}  // namespace

AttentionResult attention(const AssociationInputs& inputs) {
  const Prepared in(inputs, true, "attention");
  AttentionResult result{empty_heads(in.B, in.H, in.L, in.Dv, in.q.dtype()),
                         Tensor::empty({in.B, in.H, in.L}, in.q.dtype())};
  kernels::AttentionForward p{};
  in.fill_in(p, inputs.causal);
  p.out = output(result.out);
  p.beta = in.beta.raw();
  p.lse = result.statistics.mutable_raw();
  Workspace workspace(kernels::attention_forward_workspace(p, cpu_context()));
  p.workspace = workspace.data();
  check(kernels::attention_forward(p, cpu_context()), "attention", in.q, in.k, in.v);
  return result;
}

AttentionGradients attention_backward(const AssociationInputs& inputs,
                                      const AttentionResult& forward, const Tensor& dout) {
  const Prepared in(inputs, true, "attention_backward");
  check_same_floating("attention_backward", in.q, dout);
  kernels::AttentionBackward p{};
  in.fill_in(p, inputs.causal);
  const Tensor gradient = head_layout(dout);
  AttentionGradients result = prepare_backward(p, in, forward.out, gradient);
  result.dbeta = Tensor::empty({in.H}, in.q.dtype());
  p.beta = in.beta.raw();
  p.dbeta = result.dbeta.mutable_raw();
  p.lse = forward.statistics.raw();
  Workspace workspace(kernels::attention_backward_workspace(p, cpu_context()));
  p.workspace = workspace.data();
  check(kernels::attention_backward(p, cpu_context()), "attention_backward", in.q, in.k, in.v);
  return result;
}

Tensor rotary(const Tensor& x, bool inverse) {
  check_same_floating("rotary", x);
  if (x.rank() != 4) {
    fail("[rotary] needs (B, H, L, D), got {}", describe(x));
  }
  const Tensor source = head_layout(x);
  Tensor y = empty_heads(x.size(0), x.size(1), x.size(2), x.size(3), x.dtype());
  check(kernels::rotary({input(source), output(y), x.size(0), x.size(1), x.size(2), x.size(3),
                         kRotaryBase, inverse, x.dtype()},
                        cpu_context()),
        "rotary", x);
  return y;
}

AttentionResult linear_attention(const AssociationInputs& inputs) {
  const Prepared in(inputs, false, "linear_attention");
  AttentionResult result{empty_heads(in.B, in.H, in.L, in.Dv, in.q.dtype()),
                         Tensor::empty({in.B, in.H, in.L}, in.q.dtype())};
  kernels::LinearAttentionForward p{};
  in.fill_in(p, inputs.causal);
  p.out = output(result.out);
  p.normaliser = result.statistics.mutable_raw();
  p.eps = kLinearAttentionEps;
  Workspace workspace(kernels::linear_attention_forward_workspace(p, cpu_context()));
  p.workspace = workspace.data();
  check(kernels::linear_attention_forward(p, cpu_context()), "linear_attention", in.q, in.k, in.v);
  return result;
}

AttentionGradients linear_attention_backward(const AssociationInputs& inputs,
                                             const AttentionResult& forward, const Tensor& dout) {
  const Prepared in(inputs, false, "linear_attention_backward");
  check_same_floating("linear_attention_backward", in.q, dout);
  kernels::LinearAttentionBackward p{};
  in.fill_in(p, inputs.causal);
  const Tensor gradient = head_layout(dout);
  AttentionGradients result = prepare_backward(p, in, forward.out, gradient);
  p.normaliser = forward.statistics.raw();
  p.eps = kLinearAttentionEps;
  Workspace workspace(kernels::linear_attention_backward_workspace(p, cpu_context()));
  p.workspace = workspace.data();
  check(kernels::linear_attention_backward(p, cpu_context()), "linear_attention_backward", in.q,
        in.k, in.v);
  return result;
}

}  // namespace basin

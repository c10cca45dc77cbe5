// Checked arrays of a retrieval in a layout the kernels take.
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/precision.h"
#include "tensor/check.h"
#include "tensor/tensor.h"

namespace basin::association {

/// The tensor itself, or a copy whose innermost stride is 1: that is all the kernels ask for.
inline Tensor head_layout(const Tensor& x) {
  return x.size(-1) == 1 || x.strides()[3] == 1 ? x : x.contiguous();
}

inline kernels::HeadView view_of(const Tensor& x, const void* data) {
  return {const_cast<void*>(data), x.strides()[0], x.strides()[1], x.strides()[2]};
}
inline kernels::HeadView input(const Tensor& x) { return view_of(x, x.raw()); }
inline kernels::HeadView output(Tensor& x) { return view_of(x, x.mutable_raw()); }

/// A (B,H,rows,width) tensor stored as (B,rows,H,width), with the dtype and device of `like`.
inline Tensor empty_heads(std::int64_t B, std::int64_t H, std::int64_t rows, std::int64_t width,
                          const Tensor& like) {
  return Tensor::empty({B, rows, H, width}, like.dtype(), like.device()).transpose(1, 2);
}

/// check_same_floating(), which with `halves_too` lets all of them be bf16 where kernels take it.
template <class... Tensors>
void check_same_heads(const char* where, bool halves_too, const Tensor& first,
                      const Tensors&... others) {
  if (!halves_too || first.dtype() != DType::bf16) {
    check_same_floating(where, first, others...);
    return;
  }
  if (first.device() == Device::cpu) {
    fail("[{}] runs in bf16 on a GPU (--device cuda or simt) only; got {}", where, describe(first));
  }
  const auto same = [&](const Tensor& other) {
    if (other.dtype() != DType::bf16) {
      fail("[{}] operands differ in dtype: {} and {}; convert one with to()", where,
           describe(first), describe(other));
    }
  };
  (same(others), ...);
  check_same_device(where, first, others...);
}

/// q (B,H,L,D), k (B,H,M,D), v (B,H,M,Dv), beta (H) or undefined, key_lengths (B) i64 or undefined.
struct Prepared {
  Tensor q, k, v, beta, key_lengths;
  std::int64_t B, H, L, M, D, Dv;

  Prepared(const Tensor& q_in, const Tensor& k_in, const Tensor& v_in, const Tensor& beta_in,
           const Tensor& lengths_in, const char* where, bool halves_too = false) {
    check_same_heads(where, halves_too, q_in, k_in, v_in);
    const auto same = [](const Tensor& a, const Tensor& b, int dim) {
      return a.size(dim) == b.size(dim);
    };
    if (q_in.rank() != 4 || k_in.rank() != 4 || v_in.rank() != 4 || !same(q_in, k_in, 0) ||
        !same(q_in, k_in, 1) || !same(q_in, k_in, 3) || !same(k_in, v_in, 0) ||
        !same(k_in, v_in, 1) || !same(k_in, v_in, 2)) {
      fail("[{}] needs q (B,H,L,D), k (B,H,M,D) and v (B,H,M,Dv); got {}, {} and {}", where,
           describe(q_in), describe(k_in), describe(v_in));
    }
    q = head_layout(q_in);
    k = head_layout(k_in);
    v = head_layout(v_in);
    B = q.size(0);
    H = q.size(1);
    L = q.size(2);
    D = q.size(3);
    M = k.size(2);
    Dv = v.size(3);
    if (beta_in.defined()) {
      check_same_device(where, q_in, beta_in);
      if (beta_in.dtype() != of_heads(q_in.dtype())) {
        fail("[{}] operands differ in dtype: {} and {}; beta must be {}", where, describe(q_in),
             describe(beta_in), name_of(of_heads(q_in.dtype())));
      }
      if (!(beta_in.shape() == Shape{H})) {
        fail("[{}] beta must have one entry per head, ({}); got {}", where, H, describe(beta_in));
      }
      beta = beta_in.contiguous();
    }
    if (lengths_in.defined()) {
      if (!(lengths_in.shape() == Shape{B}) || lengths_in.dtype() != DType::i64) {
        fail("[{}] key_lengths must be ({}) i64, got {}", where, B, describe(lengths_in));
      }
      key_lengths = lengths_in.contiguous();
      if (key_lengths.device() == Device::cpu) {  // kernels clamp lengths that nobody could check
        const std::int64_t* length = key_lengths.data<std::int64_t>();
        for (std::int64_t b = 0; b < B; ++b) {
          if (length[b] < 0 || length[b] > M) {
            fail("[{}] key length {} of batch item {} lies outside [0, {}]", where, length[b], b,
                 M);
          }
        }
      }
      key_lengths = key_lengths.to(q.device());
    }
  }

  /// Of beta and of statistics.
  DType per_head_dtype() const { return of_heads(q.dtype()); }

  const std::int64_t* lengths() const {
    return key_lengths.defined() ? key_lengths.kernel_data<std::int64_t>() : nullptr;
  }

  /// What a kernel is told: arrays in bf16 say it themselves, and the CPU gets rounded ones.
  Precision kernel_precision(Precision precision) const {
    const bool rounds = precision == Precision::tf32 && q.device() != Device::cpu;
    return rounds ? Precision::tf32 : Precision::f32;
  }

  static DType of_heads(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

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

}  // namespace basin::association

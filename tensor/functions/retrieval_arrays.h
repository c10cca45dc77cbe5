// Checked arguments of a retrieval as its kernels take them.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/association/separation.h"
#include "kernels/association/visibility.h"
#include "tensor/functions/association_arrays.h"
#include "tensor/functions/retrieval.h"

namespace basin::association {

// Queries and keys of the tiles and blocks that share a draw: 2^6.
inline constexpr std::int32_t kGrainShift = 6;

struct PreparedRetrieval : Prepared {
  const AssociationOptions& options;
  Tensor alpha, mask;
  kernels::Visibility visibility{};
  kernels::WeightDropout dropout{};

  PreparedRetrieval(const RetrievalInputs& inputs, const Tensor& values, const char* where,
                    bool halves_too = false)
      : Prepared(inputs.q, inputs.k, values, inputs.beta, inputs.key_lengths, where, halves_too),
        options(inputs.options) {
    if (!inputs.beta.defined()) {
      fail("[{}] beta is missing", where);
    }
    if (const std::string problem = validate(options); !problem.empty()) {
      fail("[{}] {}", where, problem);
    }
    if (options.separation == Separation::entmax) {
      if (!inputs.alpha.defined()) {
        fail("[{}] entmax needs alpha, one exponent per head", where);
      }
      check_same_floating(where, inputs.q, inputs.alpha);
      if (!(inputs.alpha.shape() == Shape{H})) {
        fail("[{}] alpha must have one entry per head, ({}); got {}", where, H,
             describe(inputs.alpha));
      }
      alpha = inputs.alpha.contiguous();
    }
    visibility.L = L;
    visibility.M = M;
    visibility.causal = options.causal;
    visibility.key_lengths = lengths();
    visibility.radius = options.window;
    visibility.dilation = options.dilation;
    visibility.global_tokens = options.global_tokens;
    visibility.random_key = inputs.random_key;
    visibility.random_key_pointer = key_there(inputs.random_key_there, where);
    dropout = {options.weight_dropout, inputs.dropout_key,
               key_there(inputs.dropout_key_there, where)};
    visibility.keep_below = kernels::keep_bound(options.random_keep);
    visibility.query_shift = options.random_grain == MaskGrain::element ? 0 : kGrainShift;
    visibility.key_shift = options.random_grain == MaskGrain::block ? kGrainShift : 0;
    visibility.top_k = options.top_k;
    visibility.top_fraction = options.top_fraction;
    if (inputs.mask.defined()) {
      take_mask(inputs.mask, where);
    }
  }

  const std::uint64_t* key_there(const Tensor& key, const char* where) const {
    if (!key.defined()) {
      return nullptr;
    }
    check_same_device(where, q, key);
    if (key.dtype() != DType::i64 || key.numel() != 1) {
      fail("[{}] a key in memory is one i64, got {}", where, describe(key));
    }
    return static_cast<const std::uint64_t*>(key.raw());
  }

  void take_mask(const Tensor& given, const char* where) {
    const bool is_byte = given.dtype() == DType::u8 || given.dtype() == DType::boolean;
    const auto fits = [&](int dim, std::int64_t extent) {
      return given.size(dim) == extent || given.size(dim) == 1;
    };
    if (!is_byte || given.rank() != 4 || !fits(0, B) || !fits(1, H) || given.size(2) != L ||
        given.size(3) != M) {
      fail("[{}] a mask must be u8 or bool, ({} or 1, {} or 1, {}, {}); got {}", where, B, H, L, M,
           describe(given));
    }
    mask = given.contiguous().to(q.device());
    visibility.mask = static_cast<const std::uint8_t*>(mask.raw());
    visibility.mask_head_stride = mask.size(1) == 1 ? 0 : L * M;
    visibility.mask_batch_stride = mask.size(0) == 1 ? 0 : mask.size(1) * L * M;
  }

  kernels::SeparationRule rule() const {
    return {options.separation, alpha.defined() ? alpha.raw() : nullptr, options.degree,
            options.normalise == Normalise::all};
  }

  template <class Params>
  void fill_in_all(Params& p) const {
    p.q = input(q);
    p.k = input(k);
    p.v = input(v);
    p.beta = beta.raw();
    p.separation = rule();
    p.visibility = visibility;
    p.dropout = dropout;
    p.update_steps = options.update_steps;
    p.tolerance = options.tolerance;
    p.B = B;
    p.H = H;
    p.D = D;
    p.Dv = Dv;
    p.dtype = q.dtype();
  }
};

}  // namespace basin::association

// What the retrieval layers have in common: the numbers that belong to a mechanism, and its random
// draws.
#pragma once

#include <cstdint>

#include "kernels/association/options.h"
#include "nn/layers/retrieval_state.h"
#include "nn/module.h"
#include "tensor/rng.h"

namespace basin::nn {

/// Retrieval on heads. Parameters, where they are learned: log_beta (heads), or (1) for one per
/// layer; alpha_logit (heads) with alpha = max(1 + sigmoid(alpha_logit), 1.01). Buffers of random
/// features: projection (features, head_width); feature_draw (2) i64, the calls of training since
/// the last draw and the number of the last call.
class Retriever final : public Module {
 public:
  /// head_width sets the default of beta. `rng` gives the key of a fixed random mask; `draws` gives
  /// a key to every call in training that needs one, and may be null if none does. Throws Error for
  /// options that contradict each other or miss `draws`.
  Retriever(std::int64_t heads, std::int64_t head_width, const AssociationOptions& options,
            Rng& rng, Rng* draws, DType dtype);

  /// q (B,heads,L,D), k (B,heads,M,D), v (B,heads,M,Dv) to (B,heads,L,Dv). key_lengths, mask,
  /// steps: see RetrievalSettings.
  Variable forward(const Variable& q, const Variable& k, const Variable& v,
                   const Tensor& key_lengths = {}, const Tensor& mask = {},
                   Tensor* steps = nullptr) const;

  /// The next position of a causal sequence: q, k, v (B,heads,1,.) to what forward() would give it
  /// behind the positions in `state`, which takes it in. In evaluation, without gradients. Throws
  /// Error with a random mask, whose draws know the whole sequence.
  Tensor step(const Tensor& q, const Tensor& k, const Tensor& v, RetrievalState& state) const;

  const AssociationOptions& options() const { return options_; }
  /// The inverse temperature of each head, (heads).
  Variable beta() const;
  /// The exponent of each head, (heads); undefined unless the separation is entmax.
  Variable alpha() const;

 private:
  void redraw_features() const;
  void redraw_features_of(std::int64_t number) const;
  Tensor step_linear(const Tensor& q, const Tensor& k, const Tensor& v,
                     RetrievalState& state) const;
  Tensor step_features(const Tensor& q, const Tensor& k, const Tensor& v,
                       RetrievalState& state) const;

  std::int64_t heads_;
  AssociationOptions options_;
  Rng* draws_;
  std::uint64_t fixed_key_ = 0;
  mutable Variable projection_, feature_draw_;  // what training draws is no change of the layer
  Variable log_beta_, alpha_logit_;             // learned
  Variable fixed_beta_, fixed_alpha_, least_alpha_;  // otherwise, (heads)
};

}  // namespace basin::nn

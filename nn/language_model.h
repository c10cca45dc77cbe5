// A backbone with a head that predicts a token at every position.
#pragma once

#include "nn/backbone.h"

namespace basin::nn {

/// Owns its random number generators: the weights come from stream family 0 of the seed, dropout
/// from family 1, so that the same seed gives the same weights with and without dropout.
class LanguageModel final : public Module {
 public:
  LanguageModel(const BackboneOptions& options, std::uint64_t seed);

  /// Logits (B, L, vocabulary) for tokens (B, L) i64; lengths (B) i64 or undefined.
  Variable forward(const Tensor& tokens, const Tensor& lengths = {}) const;

  /// The mean cross-entropy, in nats, over the positions whose target is not -100.
  Variable loss(const Tensor& tokens, const Tensor& targets, const Tensor& lengths = {}) const;

  const BackboneOptions& options() const { return backbone_.options(); }

  /// How many dropout masks have been drawn: part of the state that a checkpoint keeps.
  std::uint64_t dropout_position() const { return dropout_rng_.position(); }
  void set_dropout_position(std::uint64_t position) { dropout_rng_.set_position(position); }

 private:
  Rng weight_rng_;
  Rng dropout_rng_;
  Backbone backbone_;
  Linear head_;
};

}  // namespace basin::nn

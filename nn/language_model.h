// A backbone with a head that predicts a token at every position.
#pragma once

#include "nn/backbone.h"
#include "tensor/functions/predictions.h"

namespace basin::nn {

struct HeadOptions {
  bool tie_weights = false;      ///< the head multiplies by the embedding table and has only a bias
  double label_smoothing = 0.0;  ///< of loss(), in [0, 1)
};

/// Owns its random number generators: the weights come from stream family 0 of the seed, dropout
/// from family 1, so that the same seed gives the same weights with and without dropout.
class LanguageModel final : public Module {
 public:
  LanguageModel(const BackboneOptions& options, std::uint64_t seed, const HeadOptions& head = {});

  /// Logits (B, L, vocabulary) for tokens (B, L) i64; lengths (B) i64 or undefined.
  Variable forward(const Tensor& tokens, const Tensor& lengths = {}) const;

  /// Logits (B, vocabulary) of what follows tokens (B, 1): see Backbone::step.
  BackboneState begin() const { return backbone_.begin(); }
  Tensor step(const Tensor& tokens, BackboneState& state) const;

  /// The mean cross-entropy, in nats, over the positions whose target is not -100, with the label
  /// smoothing of the head.
  Variable loss(const Tensor& tokens, const Tensor& targets, const Tensor& lengths = {}) const;

  /// Loss without label smoothing and likeliest token at each position, without gradients and
  /// without the logits of all positions at once.
  Predictions predict(const Tensor& tokens, const Tensor& targets,
                      const Tensor& lengths = {}) const;

  const BackboneOptions& options() const { return backbone_.options(); }

  /// How many dropout masks have been drawn: part of the state that a checkpoint keeps.
  std::uint64_t dropout_position() const { return dropout_rng_.position(); }
  void set_dropout_position(std::uint64_t position) { dropout_rng_.set_position(position); }
  /// What training draws from: dropout, random masks, new features.
  Rng& draws() { return dropout_rng_; }

 private:
  Rng weight_rng_;
  Rng dropout_rng_;
  HeadOptions head_options_;
  Backbone backbone_;
  std::unique_ptr<Module> head_;  // parameters under "head"
  Variable head_weight_, head_bias_;
};

}  // namespace basin::nn

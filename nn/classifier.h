// A backbone with a head that names the class of a whole sequence.
#pragma once

#include <string>

#include "autograd/operations.h"
#include "nn/backbone.h"

namespace basin::nn {

const char* name_of(Pooling);
/// False for an unknown name.
bool parse(const std::string& name, Pooling&);

/// Owns its random number generators, as LanguageModel does. Parameters: those of the backbone and
/// head.{weight, bias}.
class SequenceClassifier final : public Module {
 public:
  /// Throws Error for classes < 2.
  SequenceClassifier(const BackboneOptions& options, std::int64_t classes, Pooling pooling,
                     std::uint64_t seed);

  /// Logits (B, classes) for tokens (B, L) i64; lengths (B) i64 or undefined. What stands at padded
  /// positions has no influence.
  Variable forward(const Tensor& tokens, const Tensor& lengths = {}) const;

 private:
  Rng weight_rng_;
  Rng dropout_rng_;
  Backbone backbone_;
  Pooling pooling_;
  Linear head_;
};

}  // namespace basin::nn

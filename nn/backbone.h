// Backbone: tokens (B,L) to states (B,L,width), by pre-norm residual blocks that differ only in how
// they mix positions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/association/options.h"
#include "kernels/common/precision.h"
#include "nn/growing_rows.h"
#include "nn/layers/basic.h"
#include "nn/layers/positions.h"
#include "nn/layers/rnn.h"

namespace basin::nn {

/// What a mixer keeps of the positions it has seen.
class MixerState {
 public:
  virtual ~MixerState() = default;
};

/// What moves information between positions: (B,L,width) to (B,L,width). lengths (B) i64 or
/// undefined: positions at and beyond the length are padding.
class Mixer : public Module {
 public:
  virtual Variable forward(const Variable& x, const Tensor& lengths) const = 0;

  /// One position at a time: step() of x (B,1,width) gives what forward() would give it behind the
  /// positions that the state has seen. In evaluation, of a causal mixer. Here all inputs are kept
  /// and forward() is run on them; a mixer that has a state of its own does better.
  virtual std::unique_ptr<MixerState> begin() const;
  virtual Variable step(const Variable& x, MixerState& state) const;
};

struct BackboneOptions {
  std::string kind = "attention";  ///< a name from backbone_kinds()
  std::int64_t vocabulary = 256;
  std::int64_t width = 64;
  std::int64_t layers = 2;
  std::int64_t heads = 4;         ///< used by the association kinds
  std::int64_t mlp_ratio = 4;     ///< hidden width of the MLP over width
  std::int64_t max_length = 128;  ///< positions the model knows
  PositionKind positions = PositionKind::learned;
  /// Of the normal numbers that tokens and learned positions start with. What the first blocks add
  /// is of the order of 0.3 at the start: small embeddings are drowned by it, and circuits of
  /// several layers (associative recall) take many times longer to be found.
  double embedding_deviation = 0.02;
  double dropout = 0.0;  ///< after the embedding and on both branches of every block
  bool causal = true;
  bool recompute =
      false;  ///< blocks keep only their input for the backward pass: see autograd/recompute.h
  DType dtype = DType::f32;
  /// Of matrix products and of softmax attention, in the head, too; the parameters stay in dtype,
  /// which is f32 unless this is. See autograd/product_precision.h.
  Precision precision = Precision::f32;
  Recurrence recurrence = Recurrence::own;  ///< used by the recurrent kinds

  /// Where set, these replace what the kind says; `association` all of it but `causal`, and the
  /// others then a part of that.
  std::optional<AssociationOptions> association;
  std::optional<double> beta;
  std::optional<LearnedBeta> learned_beta;
  std::optional<std::int64_t> update_steps;
};

/// A backbone by name. To add one, add an entry in nn/backbone_kinds.cpp.
struct BackboneKind {
  std::string name;
  std::string description;      ///< one line, with its cost in the length
  bool is_association;          ///< has heads and association options
  AssociationOptions defaults;  ///< if so
  /// The first Rng draws weights, the second is kept for what training draws.
  std::unique_ptr<Mixer> (*make)(const BackboneOptions&, const AssociationOptions&, Rng&, Rng&);
};

const std::vector<BackboneKind>& backbone_kinds();
/// Throws Error listing the kinds if there is none of this name.
const BackboneKind& backbone_kind(const std::string& name);

/// The association options a backbone will use: the defaults of its kind with the replacements.
/// Throws Error if a replacement has no meaning for the kind (a beta for the rnn).
AssociationOptions association_options(const BackboneOptions&);

/// x + dropout(mix(norm1(x))), then x + dropout(mlp(norm2(x))). The first sum and norm2 are one
/// operation.
class Block final : public Module {
 public:
  Block(const BackboneOptions& options, Rng& rng, Rng& dropout_rng);
  Variable forward(const Variable& x, const Tensor& lengths) const;
  std::unique_ptr<MixerState> begin() const { return mix_->begin(); }
  Variable step(const Variable& x, MixerState& state) const;

 private:
  LayerNorm norm1_;
  std::unique_ptr<Mixer> mix_;
  LayerNorm norm2_;
  Mlp mlp_;
  Dropout dropout_;
};

/// What a backbone keeps of the tokens it has seen.
struct BackboneState {
  std::vector<std::unique_ptr<MixerState>> mixers;
  std::int64_t position = 0;
};

/// Embedding, positions, blocks and a last normalisation. Parameters: tokens.weight,
/// positions.weight, blocks.<n>.{norm1, mix, norm2, up, down}, norm.
class Backbone final : public Module {
 public:
  /// `rng` draws the initial weights; `dropout_rng` is kept for dropout. Throws Error for options
  /// that cannot be.
  Backbone(const BackboneOptions& options, Rng& rng, Rng& dropout_rng);

  /// tokens (B,L) i64, lengths (B) i64 or undefined.
  Variable forward(const Tensor& tokens, const Tensor& lengths = {}) const;

  /// One token at a time: tokens (B,1) i64 to the state (B,1,width) that forward() would give the
  /// last of all tokens so far, up to rounding; a top_fraction is one of the positions that each
  /// step has seen. In evaluation, of a causal backbone. Throws Error
  /// beyond max_length where positions come from a table.
  BackboneState begin() const;
  Variable step(const Tensor& tokens, BackboneState& state) const;

  const BackboneOptions& options() const { return options_; }
  /// The embedding table (vocabulary, width), for a head that shares it.
  const Variable& token_table() const { return tokens_.weight(); }

 private:
  BackboneOptions options_;
  Rng& dropout_rng_;
  Embedding tokens_;
  Positions positions_;
  std::vector<std::unique_ptr<Block>> blocks_;
  LayerNorm norm_;
  Dropout dropout_;
};

}  // namespace basin::nn

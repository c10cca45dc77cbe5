// The one description of a retrieval mechanism. Every floor passes it on unchanged.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/association/separation.h"

namespace basin {

/// Whether the inverse temperature is a parameter, stored as a logarithm.
enum class LearnedBeta : std::uint8_t { none, layer, head };

/// What the weights of a row add up to. support: those of the visible keys to 1. all: those of all
/// keys that padding leaves to 1, and hidden ones are dropped afterwards, so that a row sums to
/// less.
enum class Normalise : std::uint8_t { support, all };

/// What shares a draw of the random mask: nothing, the 64 queries of a tile, or a block of 64
/// queries and 64 keys.
enum class MaskGrain : std::uint8_t { element, tile, block };

/// When a layer draws its random mask. call: anew in every call of training; evaluation has one
/// mask of its own, so that it can be repeated. fixed: once. training: anew in every call of
/// training, and evaluation sees all keys.
enum class MaskDraw : std::uint8_t { call, fixed, training };

struct AssociationOptions {
  Separation separation = Separation::softmax;

  /// Key j is visible to query i only if j - (i + M - L) <= 0.
  bool causal = false;

  /// The inverse temperature, or its start where it is learned; 0 means 1 / sqrt(head width).
  double beta = 0.0;

  LearnedBeta learned_beta = LearnedBeta::none;

  /// T retrieval steps: T - 1 replacements of the state by the pattern it retrieves, then the
  /// read-out of the values.
  std::int64_t update_steps = 1;

  /// A query takes no further steps once its state moved by at most this share of its length; 0:
  /// all steps.
  double tolerance = 0.0;

  /// Of entmax; its start where it is learned, one number per head.
  double alpha = 1.5;
  bool learned_alpha = false;

  /// Of polynomial separation.
  std::int64_t degree = 3;

  Normalise normalise = Normalise::support;

  /// With offset = j - (i + M - L): visible if |offset| <= window dilation and dilation divides the
  /// offset. Below 0: no window. The first global_tokens positions are seen by all and see all.
  std::int64_t window = -1;
  std::int64_t dilation = 1;
  std::int64_t global_tokens = 0;

  /// The probability with which the random mask keeps a key; 1: no mask.
  double random_keep = 1.0;
  MaskGrain random_grain = MaskGrain::element;
  MaskDraw random_draw = MaskDraw::call;

  /// Visible are the keys whose score is at least the k-th largest; ties stay in. 0: all. With
  /// top_fraction, k = max(1, floor(top_fraction n + 1e-9)) of the n keys that padding leaves.
  std::int64_t top_k = 0;
  double top_fraction = 0.0;

  /// Random features: how many (0: 4 times the head width), whether blocks of them are orthogonal,
  /// after how many calls of training they are drawn anew (0: never), and what is made of them.
  std::int64_t features = 0;
  bool orthogonal = true;
  std::int64_t redraw_every = 0;
  FeatureMap feature_map = FeatureMap::positive;

  /// The probability with which training drops a weight.
  double weight_dropout = 0.0;

  bool operator==(const AssociationOptions&) const = default;
};

/// An empty string if the options make sense together, else what is wrong and what to do.
std::string validate(const AssociationOptions&);

/// Nothing but causality and padding hides a key, no weight is dropped, every query takes all
/// steps: what the kernels of softmax_attention.h compute if the separation is softmax.
bool is_plain(const AssociationOptions&);

/// "separation=softmax causal=false beta=auto learned_beta=none update_steps=1", and the others
/// where they differ from the defaults.
std::string to_text(const AssociationOptions&);

/// Reads what to_text writes; a missing key keeps its default. On failure returns false and says
/// why in `error`.
bool from_text(const std::string& text, AssociationOptions& options, std::string& error);

/// Names as users write them; the parsers answer false for an unknown name.
const char* name_of(Separation);
const char* name_of(LearnedBeta);
const char* name_of(Normalise);
const char* name_of(MaskGrain);
const char* name_of(MaskDraw);
const char* name_of(FeatureMap);
bool parse(const std::string& name, Separation&);
bool parse(const std::string& name, LearnedBeta&);
bool parse(const std::string& name, Normalise&);
bool parse(const std::string& name, MaskGrain&);
bool parse(const std::string& name, MaskDraw&);
bool parse(const std::string& name, FeatureMap&);

}  // namespace basin

// The Hopfield layers of H. Ramsauer et al. (2020), with every separation and visibility of
// AssociationOptions: retrieval from given patterns, pooling by learned queries, and a look-up
// table whose patterns are learned or fixed.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/association/options.h"
#include "nn/layers/basic.h"
#include "nn/layers/retriever.h"

namespace basin::nn {

/// What is done to states and stored patterns of each head before they meet: nothing; division by
/// their length; a layer norm with weight and bias; mean 0 and variance 1. Raw inner products are
/// dominated by large patterns.
enum class PatternNorm : std::uint8_t { none, unit, layer, standardised };

struct HopfieldOptions {
  std::int64_t query_width = 64;
  std::int64_t stored_width = 64;
  std::int64_t value_width = 64;
  std::int64_t heads = 1;
  std::int64_t head_width = 0;        ///< of states and patterns; 0: query_width / heads
  std::int64_t value_head_width = 0;  ///< of what is read out; 0: head_width
  std::int64_t output_width = 0;      ///< 0: query_width

  /// Without a projection an input is cut into heads as it is, and its width must fit.
  bool project_query = true;
  bool project_stored = true;
  bool project_values = true;
  bool project_output = true;  ///< without: the width is heads value_head_width

  /// Layer norms of the inputs, before the projections.
  bool norm_query = false;
  bool norm_stored = false;
  bool norm_values = false;
  PatternNorm pattern_norm = PatternNorm::none;

  AssociationOptions association;
};

/// query (B,L,query_width), stored (B,M,stored_width), values (B,M,value_width) to (B,L,
/// output_width). Parameters: those of Retriever; query, key, value, out (Linear); norm_query,
/// norm_stored, norm_values (LayerNorm); norm_state, norm_pattern (LayerNorm over head_width) with
/// PatternNorm::layer; each where it is wanted.
class Hopfield final : public Module {
 public:
  /// `draws` is kept for random masks and dropout of weights, see Retriever. Throws Error for
  /// widths that do not fit.
  Hopfield(const HopfieldOptions& options, Rng& rng, DType dtype, Rng* draws = nullptr);

  /// key_lengths (B) i64 or undefined; mask (B or 1, heads or 1, L, M) u8 or undefined; `steps`, if
  /// not null, receives the steps of each query, (B,heads,L).
  Variable forward(const Variable& query, const Variable& stored, const Variable& values,
                   const Tensor& key_lengths = {}, const Tensor& mask = {},
                   Tensor* steps = nullptr) const;
  /// The stored patterns are also the values.
  Variable forward(const Variable& query, const Variable& stored,
                   const Tensor& key_lengths = {}) const {
    return forward(query, stored, stored, key_lengths);
  }

  /// With every default replaced by what it stands for.
  const HopfieldOptions& options() const { return options_; }
  const Retriever& retriever() const { return retriever_; }

 private:
  Variable heads_of(const Variable& x, const LayerNorm* norm, const Linear* projection,
                    std::int64_t width) const;
  Variable normalised(const Variable& x, const LayerNorm* norm) const;

  HopfieldOptions options_;
  Retriever retriever_;
  std::unique_ptr<Linear> query_, key_, value_, out_;
  std::unique_ptr<LayerNorm> norm_query_, norm_stored_, norm_values_, norm_state_, norm_pattern_;
  Variable one_, zero_;  // of the standardised norm
};

/// stored (B,M,stored_width) to (B,num_patterns,output_width): the queries are learned. Parameters:
/// state (num_patterns, heads head_width), which no projection turns, and those of Hopfield.
class HopfieldPooling final : public Module {
 public:
  /// Of the options, query_width, project_query and norm_query say nothing; output_width 0 stands
  /// for stored_width. Throws Error for options that need a place of a query (causal, a window).
  HopfieldPooling(std::int64_t num_patterns, HopfieldOptions options, Rng& rng, DType dtype,
                  Rng* draws = nullptr);

  Variable forward(const Variable& stored, const Tensor& key_lengths = {},
                   Tensor* steps = nullptr) const;

 private:
  std::int64_t num_patterns_;
  Hopfield hopfield_;
  Variable state_;
};

/// query (B,L,query_width) to (B,L,output_width): a look-up table. Parameters: stored
/// (num_patterns, stored_width) and values (num_patterns, value_width), and those of Hopfield;
/// fixed patterns are no parameters.
class HopfieldLayer final : public Module {
 public:
  /// Learned patterns and values.
  HopfieldLayer(std::int64_t num_patterns, const HopfieldOptions& options, Rng& rng, DType dtype,
                Rng* draws = nullptr);
  /// Fixed patterns (M, stored_width) and values (M, value_width): retrieval without learning, if
  /// the projections are off.
  HopfieldLayer(const Tensor& stored, const Tensor& values, const HopfieldOptions& options,
                Rng& rng, Rng* draws = nullptr);

  Variable forward(const Variable& query, Tensor* steps = nullptr) const;

 private:
  Hopfield hopfield_;
  Variable stored_, values_;
};

}  // namespace basin::nn

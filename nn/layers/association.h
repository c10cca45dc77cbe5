// Association: the one retrieval interface. Queries look up values through their similarity to
// stored patterns; attention, modern Hopfield networks and linear attention are this layer with
// other options.
#pragma once

#include <cstdint>

#include "kernels/association/options.h"
#include "nn/layers/basic.h"
#include "nn/layers/retriever.h"

namespace basin::nn {

/// Projects query (B,L,width), stored patterns (B,M,width) and values (B,M,width) to `heads` heads
/// of width / heads, retrieves, joins the heads and projects back: (B,L,width). Parameters: those
/// of Retriever, and query, key, value and out (Linear). HopfieldLayer and its relatives
/// (layers/hopfield.h) let each of these be left out.
class Association final : public Module {
 public:
  /// With `rotary`, projected queries and keys are turned by their positions before they meet.
  /// `draws` is kept for random masks and dropout of weights, see Retriever. Throws Error if heads
  /// does not divide width, the options contradict each other or the head width is odd with rotary.
  Association(std::int64_t width, std::int64_t heads, const AssociationOptions& options, Rng& rng,
              DType dtype, bool rotary = false, Rng* draws = nullptr);

  /// key_lengths (B) i64, or undefined: stored patterns at and beyond the length are padding and
  /// never read by the retrieval. `steps`, if not null, receives the steps of each query.
  Variable forward(const Variable& query, const Variable& stored, const Variable& values,
                   const Tensor& key_lengths = {}, Tensor* steps = nullptr) const;

  /// The next position x (B,1,width) of a causal self-association: see Retriever::step.
  Variable step(const Variable& x, RetrievalState& state) const;

  const AssociationOptions& options() const { return retriever_.options(); }
  /// The inverse temperature of each head, (heads).
  Variable beta() const { return retriever_.beta(); }

 private:
  Variable split_heads(const Variable& x) const;

  std::int64_t width_, heads_;
  bool rotary_;
  Retriever retriever_;
  Linear query_, key_, value_, out_;
};

}  // namespace basin::nn

// Association: the one retrieval interface. Queries look up values through their similarity to
// stored patterns; attention, modern Hopfield networks and linear attention are this layer with
// other options.
#pragma once

#include <cstdint>

#include "kernels/association/options.h"
#include "nn/layers/basic.h"

namespace basin::nn {

/// Projects query (B,L,width), stored patterns (B,M,width) and values (B,M,width) to `heads` heads
/// of width / heads, retrieves, joins the heads and projects back: (B,L,width). Parameters: query,
/// key, value and out (Linear), and log_beta (heads), or (1) for one per layer, where beta is
/// learned.
class Association final : public Module {
 public:
  /// With `rotary`, projected queries and keys are turned by their positions before they meet.
  /// Throws Error if heads does not divide width, the options contradict each other or the head
  /// width is odd with rotary.
  Association(std::int64_t width, std::int64_t heads, const AssociationOptions& options, Rng& rng,
              DType dtype, bool rotary = false);

  /// key_lengths (B) i64, or undefined: stored patterns at and beyond the length are padding and
  /// never read by the retrieval.
  Variable forward(const Variable& query, const Variable& stored, const Variable& values,
                   const Tensor& key_lengths = {}) const;

  const AssociationOptions& options() const { return options_; }
  /// The inverse temperature of each head, (heads).
  Variable beta() const;

 private:
  Variable split_heads(const Variable& x) const;

  std::int64_t width_, heads_;
  AssociationOptions options_;
  bool rotary_;
  Linear query_, key_, value_, out_;
  Variable log_beta_;    // learned
  Variable fixed_beta_;  // otherwise, (heads)
};

}  // namespace basin::nn

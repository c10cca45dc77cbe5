// Memories of normal random patterns and noisy queries, for the experiments about modern networks.
#pragma once

#include <cstdint>

#include "kernels/association/options.h"
#include "tensor/rng.h"

namespace basin::experiments {

struct NoisyPatterns {
  Tensor patterns;  ///< (patterns, width) f32, independent standard normal numbers
  Tensor wanted;    ///< (queries, width): the first of them
  Tensor queries;   ///< (queries, width): wanted + normal noise
};

/// `queries` is cut to the number of patterns.
NoisyPatterns draw_noisy(std::int64_t patterns, std::int64_t width, double noise,
                         std::int64_t queries, Rng& rng);

/// The options of a memory with this separation and beta.
AssociationOptions memory_options(Separation separation, double beta);

/// A state counts as retrieved if its cosine with the wanted pattern is above this.
inline constexpr double kRetrievedCosine = 0.99;

}  // namespace basin::experiments

#include "tasks/experiments/hopfield_from_scratch/modern_runs.h"

#include <algorithm>

#include "tensor/functions/elementwise.h"

namespace basin::experiments {

NoisyPatterns draw_noisy(std::int64_t patterns, std::int64_t width, double noise,
                         std::int64_t queries, Rng& rng) {
  NoisyPatterns drawn;
  drawn.patterns = rng.normal({patterns, width}, 1.0, DType::f32);
  const std::int64_t asked = std::min(patterns, queries);
  drawn.wanted = drawn.patterns.slice(0, 0, asked).contiguous();
  drawn.queries = add(drawn.wanted, rng.normal({asked, width}, noise, DType::f32));
  return drawn;
}

AssociationOptions memory_options(Separation separation, double beta) {
  AssociationOptions options;
  options.separation = separation;
  options.beta = beta;
  return options;
}

}  // namespace basin::experiments

// The modern Hopfield network as a memory: patterns of any numbers, kept as they are, and retrieval
// repeated to its fixed points. H. Ramsauer et al. (2020).
#pragma once

#include <cstdint>

#include "kernels/association/options.h"
#include "tensor/tensor.h"

namespace basin::nn {

struct ModernRetrieval {
  Tensor states;     ///< (Q,D)
  Tensor steps;      ///< (Q) i64: the updates that each query took
  Tensor residuals;  ///< (Q): |T(x) - x| of the states
};

struct ModernTrace {
  Tensor states;    ///< (T+1,Q,D): at the start and after each update
  Tensor energies;  ///< (T+1,Q); undefined where the separation has no known energy
};

/// M stored patterns of width D. Kept is the tensor itself: retrieval takes memory for one query's
/// scores on each thread and for the states, never for scores of all queries.
class ModernMemory {
 public:
  /// patterns (M,D), f32 or f64, M >= 1. Of the options, separation, beta (0: 1 / sqrt(D)), alpha,
  /// degree, top_k, top_fraction and normalise say how scores become weights; a memory has no
  /// positions, and everything else must have its default. Throws Error otherwise, and for linear
  /// and random features, which know no single patterns.
  ModernMemory(const Tensor& patterns, const AssociationOptions& options);

  /// `steps` updates x <- sum_mu P_mu(x) xi_mu of states (Q,D).
  Tensor update(const Tensor& states, std::int64_t steps = 1) const;

  /// Updates each query until it moves by at most `tolerance` of its length, at most most_steps
  /// times: towards a fixed point, if the residual is small. Slow convergence near the border of
  /// two basins can look like one: the smaller the tolerance, the less.
  ModernRetrieval retrieve(const Tensor& states, std::int64_t most_steps = 1000,
                           double tolerance = 1e-6) const;

  /// (Q): kernels::RetrievalEnergy. Throws Error for polynomial weights and for hidden patterns
  /// (top_k, top_fraction), which have no known energy.
  Tensor energy(const Tensor& states) const;
  bool has_energy() const;

  ModernTrace trace(const Tensor& states, std::int64_t steps) const;

  /// (Q) i64: the stored pattern with the largest inner product, the first of equals: what a
  /// memory reaches that just looks up.
  Tensor best_match(const Tensor& states) const;

  const Tensor& patterns() const { return patterns_; }
  const AssociationOptions& options() const { return options_; }

 private:
  Tensor patterns_, beta_, alpha_;
  AssociationOptions options_;
};

}  // namespace basin::nn

// What each query of a retrieval does with its keys, seen as a memory: the keys are stored
// patterns, the query is a state. For looking at a model, not for training it.
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/association/separation.h"
#include "kernels/association/visibility.h"
#include "kernels/common/context.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// The figures of a row, in the order in which they are stored. The row belongs to the state x from
/// which the values are read: the query after update_steps - 1 updates. NaN where a figure has no
/// meaning. The candidates are the n keys that causality, padding, window and masks leave; those
/// that top-k or a sparse separation drops are candidates of weight 0, so that rows of different
/// separations are compared over the same keys.
enum class RowFigure : std::uint8_t {
  keys,            ///< n
  entropy,         ///< of the weights over their sum, in nats
  temperature,     ///< effective_temperature() of the candidates' scores
  fewest_90,       ///< the fewest weights that reach 90 % of the sum
  separation,      ///< Delta = min over other candidates nu of k_mu.k_mu - k_mu.k_nu, mu the
                   ///< candidate nearest to x; infinite with one candidate
  distance,        ///< |x - k_mu|
  distance_after,  ///< |y - k| to the nearest candidate, y = T(x) = sum_j P_j k_j
  error,           ///< |y - k_mu|
  bound,           ///< m (n + s - 2) exp(-(s_mu - max_nu s_nu)), m the largest |k|, s keys with a
          ///< weight, s_mu = beta x.k_mu (theorem 4.1 in the form its proof gives). Softmax,
          ///< sparsemax and entmax whose weights sum to 1, mu among those with a weight
  energy,         ///< see RetrievalEnergy; where one is known
  energy_after,   ///< of y
  further_steps,  ///< updates of y until one moves it by at most settled |y|; most_steps if none
                  ///< does
  source_weight   ///< the weight of the key named by `sources`
};
inline constexpr std::int64_t kRowFigures = 13;

/// q (B,H,L,D), k (B,H,M,D), beta (H), alpha of `separation` (H), features: f64. figures
/// (B,H,L,13) f64, contiguous. The scores of a kernelised separation are the logarithms of its
/// unnormalised weights, whose softmax its weights are.
struct RetrievalDiagnostics {
  HeadView q, k;
  const double* beta;
  SeparationRule separation;  ///< any kind
  Visibility visibility;
  std::int64_t update_steps;
  double tolerance;          ///< of the update steps, see RetrievalForward
  const double* projection;  ///< (features, D), of random features
  std::int64_t features;
  FeatureMap feature_map;
  const std::uint8_t* rows;     ///< (B, L): 0 leaves a row out, all its figures are NaN; or null
  const std::int64_t* sources;  ///< (B, L): a key, or below 0 for none; or null
  double settled;
  std::int64_t most_steps;  ///< 0: further_steps is NaN and costs nothing
  double* figures;
  void* workspace;  ///< retrieval_diagnostics_workspace() bytes: O(M) per thread
  std::int64_t B, H, D;
};
std::int64_t retrieval_diagnostics_workspace(const RetrievalDiagnostics&, const CpuContext&);
/// Refuses extents, rules and exponents as retrieval_forward() does.
Status retrieval_diagnostics(const RetrievalDiagnostics&, const CpuContext&);

}  // namespace basin::kernels

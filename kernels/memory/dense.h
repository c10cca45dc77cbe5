// The dense associative memory: N units of -1 or 1 whose energy is a steep function of the overlaps
// with the stored patterns. D. Krotov, J. Hopfield, Dense associative memory for pattern
// recognition (2016); the exponential: M. Demircigil and others (2017).
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/memory/recall.h"

namespace basin {

/// F of an overlap z. power: (z / N)^degree; rectified: max(z / N, 0)^degree; exponential: e^z. The
/// factor N^-degree changes no update and keeps powers in range.
enum class Interaction : std::uint8_t { power, rectified, exponential };

const char* name_of(Interaction);
bool parse(const char* name, Interaction&);

}  // namespace basin

namespace basin::kernels {

/// The largest degree of a power.
inline constexpr std::int64_t kMostDegree = 1000;

/// From the queries (B,Q,N) of -1 and 1 to the states (B,Q,N) where asynchronous updates lead: with
/// h_mu = sum_j!=i xi_mu,j s_j, unit i becomes the sign of
/// sum_mu F(h_mu + xi_mu,i) - F(h_mu - xi_mu,i), and stays as it is where that sum is no larger
/// than the rounding of its terms. patterns (B,P,N) are any numbers; memory b has the first
/// counts[b] of them, all where counts is null. Everything else as in ClassicalRecall; there are no
/// synchronous updates. A sweep costs N P terms. All arithmetic is in double.
struct DenseRecall {
  const void* patterns;
  const std::int64_t* counts;
  const void* queries;
  void* states;  ///< may be queries
  std::int64_t* sweeps;
  std::int64_t* outcomes;
  Interaction interaction;
  std::int64_t degree;  ///< of powers, 1 ... kMostDegree
  RecallOrder order;
  std::int64_t most_sweeps;
  std::int64_t first_sweep;
  std::uint64_t key;
  void* workspace;  ///< dense_recall_workspace() bytes
  std::int64_t B, P, Q, N;
  DType dtype;
};
std::int64_t dense_recall_workspace(const DenseRecall&, const CpuContext&);
Status dense_recall(const DenseRecall&, const CpuContext&);

/// energy (B,Q) of the states (B,Q,N): -sum_mu F(xi_mu . s); for the exponential its logarithm,
/// -ln sum_mu e^(xi_mu . s), which does not overflow and falls when it falls. No patterns: 0, and
/// inf for the exponential. An update never raises it.
struct DenseEnergy {
  const void* patterns;
  const std::int64_t* counts;
  const void* states;
  void* energy;
  Interaction interaction;
  std::int64_t degree;
  std::int64_t B, P, Q, N;
  DType dtype;
};
Status dense_energy(const DenseEnergy&, const CpuContext&);

}  // namespace basin::kernels

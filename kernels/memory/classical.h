// The classical Hopfield network: N units of -1 or 1, symmetric weights, sign updates. J. Hopfield,
// Neural networks and physical systems with emergent collective computational abilities (PNAS
// 1982).
//
// Weights here are N times those of the textbooks. Of the Hebbian rule they are then whole numbers,
// fields are exact in any order of addition, and a field of zero really is zero. No update depends
// on the factor.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/memory/recall.h"

namespace basin {

/// How patterns become weights.
/// hebbian: W = sum xi xi^T / N.
/// storkey: pattern by pattern, W_ij += (xi_i xi_j - xi_i h_ji - h_ij xi_j) / N with h_ij the field
/// on unit i of all units but i and j (A. Storkey, R. Valabregue 1999).
/// pseudo_inverse: W = X^T (X X^T)^-1 X, the projection onto the patterns, the rows of X (L.
/// Personnaz, I. Guyon, G. Dreyfus 1985).
enum class StorageRule : std::uint8_t { hebbian, storkey, pseudo_inverse };

const char* name_of(StorageRule);
bool parse(const char* name, StorageRule&);

}  // namespace basin

namespace basin::kernels {

/// weights (B,N,N) = N W from patterns (B,P,N) of -1 and 1; memory b stores the first counts[b] of
/// its patterns, all of them where counts is null. The diagonal is 0 unless it is kept, which the
/// Storkey rule does not know. Patterns that others span change nothing in pseudo_inverse.
struct ClassicalStore {
  const void* patterns;
  const std::int64_t* counts;
  void* weights;
  StorageRule rule;
  bool keep_diagonal;
  void* workspace;  ///< classical_store_workspace() bytes
  std::int64_t B, P, N;
  DType dtype;
};
std::int64_t classical_store_workspace(const ClassicalStore&, const CpuContext&);
Status classical_store(const ClassicalStore&, const CpuContext&);

/// From the queries (B,Q,N) of -1 and 1 to the states (B,Q,N) where updates lead: unit i becomes
/// the sign of sum_j W_ij s_j, and stays as it is where that is at most `tie` in absolute value.
/// Sweeps go on until one changes nothing, or synchronous ones come back to the state before the
/// last, at most most_sweeps times. sweeps (B,Q) receives the number of those that changed
/// something, outcomes (B,Q) a RecallOutcome; each may be null. The order of sweep t of query (b,
/// q) is sweep_order(order, key, b Q + q, first_sweep + t). A flip costs N additions.
struct ClassicalRecall {
  const void* weights;  ///< (B,N,N), symmetric
  const void* queries;
  void* states;  ///< may be queries
  std::int64_t* sweeps;
  std::int64_t* outcomes;
  RecallOrder order;
  std::int64_t most_sweeps;
  std::int64_t first_sweep;
  double tie;
  std::uint64_t key;
  void* workspace;  ///< classical_recall_workspace() bytes
  std::int64_t B, Q, N;
  DType dtype;
};
std::int64_t classical_recall_workspace(const ClassicalRecall&, const CpuContext&);
Status classical_recall(const ClassicalRecall&, const CpuContext&);

/// energy (B,Q) = -scale / 2 sum_ij s_i W_ij s_j of the states (B,Q,N). One unit updated by the
/// field of a symmetric W without negative diagonal never raises it; all units at once may.
struct ClassicalEnergy {
  const void* weights;
  const void* states;
  void* energy;
  double scale;
  std::int64_t B, Q, N;
  DType dtype;
};
Status classical_energy(const ClassicalEnergy&, const CpuContext&);

}  // namespace basin::kernels

// Retrieval with every option: any separation, visibility and number of steps.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/association/options.h"
#include "kernels/common/precision.h"
#include "tensor/tensor.h"

namespace basin {

/// q (B,H,L,D), k (B,H,M,D), v (B,H,M,Dv), any strides with innermost stride 1; beta (H). Of the
/// options, beta, learned_beta, alpha, learned_alpha, random_draw and the separation `linear` say
/// nothing here. key_lengths (B) i64 or undefined. mask (B or 1, H or 1, L, M) u8 or bool, or
/// undefined: a key is visible where it is not 0 (and nothing else hides it).
struct RetrievalInputs {
  Tensor q, k, v, beta;
  Tensor alpha;  ///< (H), each in (1, 2]: entmax only
  Tensor key_lengths, mask;
  AssociationOptions options;
  std::uint64_t random_key = 0;   ///< of the random mask: the same key, the same mask
  std::uint64_t dropout_key = 0;  ///< of the dropout of weights
  /// The same as i64 () where q lies; unless undefined, they take the place of the numbers.
  Tensor random_key_there{}, dropout_key_there{};
};

struct RetrievalResult {
  Tensor out;         ///< (B,H,L,Dv), stored as (B,L,H,Dv)
  Tensor statistics;  ///< (B,H,L,3): see kernels::RetrievalForward
  Tensor steps;       ///< (B,H,L) i64: the steps each query took, the read-out included
};

struct RetrievalGradients {
  Tensor dq, dk, dv;
  Tensor dbeta;   ///< (H)
  Tensor dalpha;  ///< (H); entmax only
};

/// Whether tensor cores multiply in this retrieval, on the executor and on a GPU, so that there are
/// kernels for tf32 and bf16; `width`: the larger one of D and Dv.
bool retrieval_rounds_factors(const AssociationOptions& options, std::int64_t width);

/// Where that is so, q, k, v and dout may be bf16, or `precision` tf32, as in attention(). Throw
/// Error for shapes, dtypes, options or a precision that do not fit.
RetrievalResult retrieval(const RetrievalInputs&, Precision precision = Precision::f32);
RetrievalGradients retrieval_backward(const RetrievalInputs&, const RetrievalResult&,
                                      const Tensor& dout, Precision precision = Precision::f32);

/// RetrievalResult::steps by head: the most that a query took, and the mean over all queries.
struct StepReport {
  std::vector<std::int64_t> most;
  std::vector<double> mean;
};
StepReport report_steps(const Tensor& steps);

/// The energies (B,H,L) of the states q against the stored patterns k: see
/// kernels::RetrievalEnergy. `v` is not used.
Tensor retrieval_energy(const RetrievalInputs&);

}  // namespace basin

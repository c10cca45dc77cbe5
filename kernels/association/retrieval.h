// Retrieval in general: any separation of any visible keys, any number of update steps. Softmax
// over a prefix of the keys has kernels of its own (softmax_attention.h).
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/association/separation.h"
#include "kernels/association/visibility.h"
#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/precision.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// The largest number of update steps a call may ask for.
inline constexpr std::int64_t kMostUpdateSteps = 1 << 20;

/// x_0 = q_i; x_t+1 = sum_j P_j(x_t) k_j for update_steps - 1 steps; out_i = sum_j P_j(x) v_j, with
/// P(x) = separation(beta_h x.k_j over the visible j). A query stops early once
/// |x_t+1 - x_t| <= tolerance |x_t| (tolerance > 0). q (B,H,L,D), k (B,H,M,D), v (B,H,M,Dv), out
/// (B,H,L,Dv), beta (H). statistics (B,H,L,3) contiguous receives of the last step the largest
/// score, the level (softmax: sum of e^(s - max); sparsemax, entmax: tau on (alpha - 1)(s - max);
/// polynomial: the sum of (s / max)^(degree - 1), eps included) and the least score that top-k kept
/// (-inf without). steps (B,H,L) or null receives the steps of each query, the read-out included. A
/// query that sees nothing gives 0.
/// Variants: 0 best, 1 one query at a time, O(M) scratch, 2 candidate lists for sparsemax and
/// entmax (retrieval_lists.h), 3 tiles of gathered keys for softmax and polynomial weights
/// (retrieval_tiles.h), 4 lists for softmax over top-k (retrieval_top.h); where one does not apply,
/// variant 1 takes its place. A GPU has 0, 1 (retrieval.cu), 2 and 3, the last for softmax in one
/// step, over top-k or not, both for heads up to 256 wide; there an exponent of entmax outside
/// (1, 2] makes NaN. For variant 3 `dtype` may also be bf16 if there is no top-k, for q, k, v, out
/// and their gradients; the rest is f32 then.
/// There, 4 (f32 only) is 3 on tensor cores (retrieval_tensor.h), each product as three of tf32,
/// which keep the bits of f32; for top-k, 3 takes its place.
/// `precision` tf32, for arrays of f32 on a GPU where variant 3 applies: what is multiplied is
/// rounded to tf32, and only then, on tensor cores; there is one variant, 0.
struct RetrievalForward {
  HeadView q, k, v, out;
  const void* beta;
  SeparationRule separation;
  Visibility visibility;
  WeightDropout dropout;
  std::int64_t update_steps;
  double tolerance;
  void* statistics;
  std::int64_t* steps;
  void* workspace;  ///< retrieval_forward_workspace() bytes
  std::int64_t B, H, D, Dv;
  DType dtype;
  int variant = 0;
  Precision precision = Precision::f32;
};
std::int64_t retrieval_forward_workspace(const RetrievalForward&, const CpuContext&);
Status retrieval_forward(const RetrievalForward&, const CpuContext&);
std::int64_t retrieval_forward_workspace(const RetrievalForward&, const SimtContext&);
Status retrieval_forward(const RetrievalForward&, const SimtContext&);
std::int64_t retrieval_forward_workspace(const RetrievalForward&, const CudaContext&);
Status retrieval_forward(const RetrievalForward&, const CudaContext&);

/// The gradients through every step that a query took. dq, dk, dv are overwritten; dbeta (H) and
/// dalpha (H) may be null. With g_j = dout.v_j on the visible keys, one step has
/// ds = u (g - <u,g> / <u,1>), u = P^(2 - alpha) on the support (softmax: alpha = 1; sparsemax: 2)
/// polynomial: ds_j = (degree - 1) P_j / s_j (g_j - <P,g>)
/// dx = beta sum_j ds_j k_j; dk_j = beta ds_j x; dbeta = x . sum_j ds_j k_j; dv_j = P_j dout
/// dalpha = sum_j g_j [(P_j - p_j) / a^2 - (P_j ln P_j - p_j <P, ln P>) / a], p = u / <u,1>, a =
/// alpha - 1.
struct RetrievalBackward {
  HeadView q, k, v, out, dout, dq, dk, dv;
  const void* beta;
  void* dbeta;
  void* dalpha;
  SeparationRule separation;
  Visibility visibility;
  WeightDropout dropout;
  std::int64_t update_steps;
  double tolerance;
  const void* statistics;  ///< of the forward pass, by any variant
  void* workspace;         ///< retrieval_backward_workspace() bytes
  std::int64_t B, H, D, Dv;
  DType dtype;
  int variant = 0;
  Precision precision = Precision::f32;
};
std::int64_t retrieval_backward_workspace(const RetrievalBackward&, const CpuContext&);
Status retrieval_backward(const RetrievalBackward&, const CpuContext&);
std::int64_t retrieval_backward_workspace(const RetrievalBackward&, const SimtContext&);
Status retrieval_backward(const RetrievalBackward&, const SimtContext&);
std::int64_t retrieval_backward_workspace(const RetrievalBackward&, const CudaContext&);
Status retrieval_backward(const RetrievalBackward&, const CudaContext&);

/// energy (B,H,L) of the states q against the stored patterns k:
/// softmax: -lse(beta k x) / beta + |x|^2 / 2 + ln(n) / beta + max |k|^2 / 2, n visible keys;
/// sparsemax, entmax: -(P.s - Omega(P)) / beta + |x|^2 / 2 with s = beta k x and
/// Omega(P) = sum (P^alpha - P) / (alpha (alpha - 1)).
/// One update of either never raises it. 0 for a query that sees nothing; polynomial is refused.
struct RetrievalEnergy {
  HeadView q, k;
  const void* beta;
  SeparationRule separation;
  Visibility visibility;
  void* energy;
  void* workspace;  ///< retrieval_energy_workspace() bytes
  std::int64_t B, H, D;
  DType dtype;
};
std::int64_t retrieval_energy_workspace(const RetrievalEnergy&, const CpuContext&);
Status retrieval_energy(const RetrievalEnergy&, const CpuContext&);
std::int64_t retrieval_energy_workspace(const RetrievalEnergy&, const SimtContext&);
Status retrieval_energy(const RetrievalEnergy&, const SimtContext&);
std::int64_t retrieval_energy_workspace(const RetrievalEnergy&, const CudaContext&);
Status retrieval_energy(const RetrievalEnergy&, const CudaContext&);

}  // namespace basin::kernels

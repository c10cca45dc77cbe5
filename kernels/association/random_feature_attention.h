// Attention through random features whose inner product estimates the softmax kernel, at a cost
// linear in the number of keys (K. Choromanski et al. 2021).
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/association/separation.h"
#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// out_i = phi(q_i).S_i / phi(q_i).z_i (phi: FeatureMap) with S_i = sum over visible j of phi(k_j)
/// v_j^T and z_i = sum over visible j of phi(k_j). projection (features, D) contiguous holds the
/// rows w; beta (H), above 0. Shapes, visibility and hidden rows as in AttentionForward; a query
/// that sees nothing gives 0. log_normaliser (B,H,L) contiguous receives ln phi(q_i).z_i without
/// the term |q'|^2 / 2, which cancels (-inf where nothing is seen). No exponential overflows: each
/// feature carries the largest exponent of the keys so far, never of later ones.
/// On a GPU (any width; beta is not looked at): 0, a scan over segments (random_scan.cuh).
/// key_lengths lies where the other arrays do.
struct RandomFeatureForward {
  HeadView q, k, v, out;
  const void* projection;
  const void* beta;
  const std::int64_t* key_lengths;
  void* log_normaliser;
  void* workspace;  ///< random_feature_forward_workspace() bytes
  std::int64_t B, H, L, M, D, Dv, features;
  bool causal;
  FeatureMap map;
  DType dtype;
  int variant = 0;
};
std::int64_t random_feature_forward_workspace(const RandomFeatureForward&, const CpuContext&);
std::int64_t random_feature_forward_workspace(const RandomFeatureForward&, const SimtContext&);
std::int64_t random_feature_forward_workspace(const RandomFeatureForward&, const CudaContext&);
Status random_feature_forward(const RandomFeatureForward&, const CpuContext&);
Status random_feature_forward(const RandomFeatureForward&, const SimtContext&);
Status random_feature_forward(const RandomFeatureForward&, const CudaContext&);

/// With a_ir = ln phi(q_i)_r, b_jr = ln phi(k_j)_r, n_i the normaliser and e_ij = sum over r of
/// exp(a_ir + b_jr) / n_i the weights: da_ir = exp(a_ir) (S_r.dout_i - dout_i.out_i z_r) / n_i, and
/// for the keys the mirror image with the sums over the queries that see them. projection gets no
/// gradient. dbeta_h = (sum q.dq + sum k.dk) / (2 beta), or null.
struct RandomFeatureBackward {
  HeadView q, k, v, out, dout, dq, dk, dv;
  const void* projection;
  const void* beta;
  void* dbeta;
  const std::int64_t* key_lengths;
  const void* log_normaliser;
  void* workspace;  ///< random_feature_backward_workspace() bytes
  std::int64_t B, H, L, M, D, Dv, features;
  bool causal;
  FeatureMap map;
  DType dtype;
  int variant = 0;
};
std::int64_t random_feature_backward_workspace(const RandomFeatureBackward&, const CpuContext&);
std::int64_t random_feature_backward_workspace(const RandomFeatureBackward&, const SimtContext&);
std::int64_t random_feature_backward_workspace(const RandomFeatureBackward&, const CudaContext&);
Status random_feature_backward(const RandomFeatureBackward&, const CpuContext&);
Status random_feature_backward(const RandomFeatureBackward&, const SimtContext&);
Status random_feature_backward(const RandomFeatureBackward&, const CudaContext&);

}  // namespace basin::kernels

// Attention through random features, and how they are drawn.
#pragma once

#include <cstdint>

#include "kernels/association/separation.h"
#include "tensor/functions/association.h"
#include "tensor/rng.h"

namespace basin {

/// (features, width) rows of independent normal numbers; `orthogonal`: every block of `width` rows
/// is orthogonal, each row with the length of an independent one (F. Yu et al. 2016). The same for
/// f32 and f64 up to rounding.
Tensor random_projection(std::int64_t features, std::int64_t width, bool orthogonal, Rng& rng,
                         DType dtype);

/// See kernels::RandomFeatureForward: projection (features, D), beta (H) above 0. statistics
/// (B,H,L) is the logarithm of the normaliser. Throws Error for shapes or dtypes that do not fit.
AttentionResult random_feature_attention(const AssociationInputs&, const Tensor& projection,
                                         FeatureMap map);
AttentionGradients random_feature_attention_backward(const AssociationInputs&,
                                                     const Tensor& projection, FeatureMap map,
                                                     const AttentionResult&, const Tensor& dout);

}  // namespace basin

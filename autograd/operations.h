// All differentiable operations. Each has the name and shape rule of the tensor function it is made
// of; its file in autograd/ops says how its gradient comes about.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/variable.h"
#include "kernels/association/options.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/memory/label_evidence.h"
#include "kernels/recurrent/recurrent_layer.h"
#include "kernels/recurrent/rnn.h"
#include "tensor/rng.h"

namespace basin {

/// One line of the unary table: exp(x), gelu(x), ... (kernels/elementwise/unary_table.inc).
Variable unary(kernels::UnaryOp op, const Variable& x);
/// One line of the binary table, with broadcasting: add(a, b), mul(a, b), ...
Variable binary(kernels::BinaryOp op, const Variable& a, const Variable& b);

#define BASIN_UNARY(name, formula, low, high, value, derivative) \
  inline Variable name(const Variable& x) { return unary(kernels::UnaryOp::name, x); }
#include "kernels/elementwise/unary_table.inc"
#undef BASIN_UNARY
#define BASIN_BINARY(name, formula, low, high, value, da, db)  \
  inline Variable name(const Variable& a, const Variable& b) { \
    return binary(kernels::BinaryOp::name, a, b);              \
  }
#include "kernels/elementwise/binary_table.inc"
#undef BASIN_BINARY

/// scale x + shift with constants.
Variable affine(const Variable& x, double scale, double shift);

/// Views: see the members of Tensor.
Variable reshape(const Variable& x, const Shape& shape);
Variable transpose(const Variable& x, int a, int b);
Variable slice(const Variable& x, int dim, std::int64_t begin, std::int64_t end);
Variable expand(const Variable& x, const Shape& shape);

/// Joins tensors along a dimension; their other extents must agree.
Variable concat(const std::vector<Variable>& parts, int dim);

Variable sum(const Variable& x, int dim, bool keep = false);
Variable sum(const Variable& x);
Variable mean(const Variable& x, int dim, bool keep = false);
Variable mean(const Variable& x);

Variable matmul(const Variable& a, const Variable& b);
Variable linear(const Variable& x, const Variable& weight, const Variable& bias);
/// gelu(linear(x, weight, bias)) in one pass each way; bias may be undefined.
Variable linear_gelu(const Variable& x, const Variable& weight, const Variable& bias);
Variable softmax(const Variable& x);
Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, double eps);
/// sum = x + residual, of one shape, and layer_norm(sum, weight, bias, eps), in one pass each way.
struct SumAndNorm {
  Variable sum, normalised;
};
SumAndNorm add_layer_norm(const Variable& x, const Variable& residual, const Variable& weight,
                          const Variable& bias, double eps);
Variable embedding(const Variable& table, const Tensor& ids);
Variable dropout(const Variable& x, double p, std::uint64_t key, std::uint64_t stream);
Variable dropout(const Variable& x, double p, const Draw& draw);
/// The mean over rows whose target is not ignore_index, shape ().
Variable cross_entropy(const Variable& logits, const Tensor& targets,
                       std::int64_t ignore_index = -100, double label_smoothing = 0.0);

/// cross_entropy(linear(x, weight, bias), targets, ...) without the logits in memory; bias may be
/// undefined.
Variable linear_cross_entropy(const Variable& x, const Variable& weight, const Variable& bias,
                              const Tensor& targets, std::int64_t ignore_index = -100,
                              double label_smoothing = 0.0);

/// One retrieval step: see AssociationInputs in tensor/functions/association.h.
Variable attention(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Tensor& key_lengths, bool causal);
Variable linear_attention(const Variable& q, const Variable& k, const Variable& v,
                          const Tensor& key_lengths, bool causal);

/// Attention through random features: projection (features, D) is a constant. See
/// random_feature_attention in tensor/functions/random_features.h.
Variable random_feature_attention(const Variable& q, const Variable& k, const Variable& v,
                                  const Variable& beta, const Tensor& projection, FeatureMap map,
                                  const Tensor& key_lengths, bool causal);

/// What a retrieval needs beside its arrays: see RetrievalInputs in tensor/functions/retrieval.h.
struct RetrievalSettings {
  AssociationOptions options{};
  Tensor key_lengths{}, mask{};
  std::uint64_t random_key = 0;
  std::uint64_t dropout_key = 0;
  Tensor random_key_there{}, dropout_key_there{};  ///< see RetrievalInputs
  Tensor projection{};                             ///< random features only
  Tensor* steps = nullptr;  ///< if not null, receives the steps of each query, (B,H,L) i64
};
/// One retrieval of any number of steps. beta (H); alpha (H), or undefined where it is not entmax.
Variable retrieval(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Variable& alpha, const RetrievalSettings& settings);
/// The same by whichever of attention(), linear_attention(), random_feature_attention() and
/// retrieval() the options need. beta is not used by linear separation.
Variable associate(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Variable& alpha, const RetrievalSettings& settings);

/// Rotary position embedding of x (B,H,L,D), D even.
Variable rotary(const Variable& x);

/// x (B, L, D) to (B, D): what stands for a sequence. lengths (B) i64 (each at least 1), or
/// undefined if nothing is padded; padded positions have no influence.
enum class Pooling : std::uint8_t { mean, last, first };
Variable pool(const Variable& x, const Tensor& lengths, Pooling pooling);

/// The mean over all elements of ln(1 + e^z) - target z: binary cross-entropy of logits, targets in
/// [0, 1], shape ().
Variable binary_cross_entropy(const Variable& logits, const Tensor& targets);
/// The sum over all elements of (x - target)^(2 half_power), shape ().
Variable power_error(const Variable& x, const Tensor& targets, std::int64_t half_power);

/// How much turning on each label unit of a dense associative memory lowers its energy: (B,C) from
/// overlaps (B,K) and label units (K,C). See kernels::LabelEvidenceForward. On the CPU only.
Variable label_evidence(const Variable& overlaps, const Variable& labels,
                        const kernels::InteractionOf& by);

/// h_t = f(x_t + weight h_(t-1)) for x (B, L, width).
Variable rnn(const Variable& x, const Variable& weight, kernels::Nonlinearity nonlinearity);
/// The states h (B, L, width) for x (B, L, 4 width) and weight (4 width, width); gates i, f, g, o.
Variable lstm(const Variable& x, const Variable& weight);
/// The states h (B, L, width) for x (B, L, 3 width), weight (3 width, width) and bias (3 width);
/// gates r, z, n.
Variable gru(const Variable& x, const Variable& weight, const Variable& bias);
/// x (B, L, in) to the states (B, L, width) of a whole layer by cuDNN, on a GPU: weight_ih (gates
/// width, in), weight_hh (gates width, width), two biases (gates width). In the product precision.
Variable recurrent_layer(const Variable& x, const Variable& weight_ih, const Variable& weight_hh,
                         const Variable& bias_ih, const Variable& bias_hh,
                         kernels::RecurrentCell cell);

}  // namespace basin

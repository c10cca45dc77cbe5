// All differentiable operations. Each has the name and shape rule of the tensor function it is made
// of; its file in autograd/ops says how its gradient comes about.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/variable.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/recurrent/rnn.h"

namespace basin {

/// One line of the unary table: exp(x), gelu(x), ... (kernels/elementwise/unary_table.inc).
Variable unary(kernels::UnaryOp op, const Variable& x);
/// One line of the binary table, with broadcasting: add(a, b), mul(a, b), ...
Variable binary(kernels::BinaryOp op, const Variable& a, const Variable& b);

#define BASIN_UNARY(name, formula, low, high, value, derivative) \
  inline Variable name(const Variable& x) { return unary(kernels::UnaryOp::name, x); }
#include "kernels/elementwise/unary_table.inc"
#undef BASIN_UNARY
#define BASIN_BINARY(name, formula, low, high, value, da, db) \
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
Variable softmax(const Variable& x);
Variable layer_norm(const Variable& x, const Variable& weight, const Variable& bias, double eps);
Variable embedding(const Variable& table, const Tensor& ids);
Variable dropout(const Variable& x, double p, std::uint64_t key, std::uint64_t stream);
/// The mean over rows whose target is not ignore_index, shape ().
Variable cross_entropy(const Variable& logits, const Tensor& targets,
                       std::int64_t ignore_index = -100, double label_smoothing = 0.0);

/// One retrieval step: see AssociationInputs in tensor/functions/association.h.
Variable attention(const Variable& q, const Variable& k, const Variable& v, const Variable& beta,
                   const Tensor& key_lengths, bool causal);
Variable linear_attention(const Variable& q, const Variable& k, const Variable& v,
                          const Tensor& key_lengths, bool causal);

/// h_t = f(x_t + weight h_(t-1)) for x (B, L, width).
Variable rnn(const Variable& x, const Variable& weight, kernels::Nonlinearity nonlinearity);

}  // namespace basin

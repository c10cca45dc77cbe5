#include "tensor/functions/random_features.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/association/random_feature_attention.h"
#include "tensor/device.h"
#include "tensor/functions/association_arrays.h"
#include "tensor/workspace.h"

namespace basin {

using association::empty_heads;
using association::head_layout;
using association::input;
using association::output;
using association::Prepared;

namespace {

// The rows first ... end - 1 of x (., width) made orthogonal (modified Gram-Schmidt, twice for the
// sake of rounding), each with its length from before.
void make_orthogonal(std::vector<double>& x, std::int64_t first, std::int64_t end,
                     std::int64_t width) {
  const auto row = [&](std::int64_t r) { return x.data() + r * width; };
  const auto inner = [&](const double* a, const double* b) {
    double sum = 0;
    for (std::int64_t c = 0; c < width; ++c) {
      sum += a[c] * b[c];
    }
    return sum;
  };
  std::vector<double> lengths;
  for (std::int64_t r = first; r < end; ++r) {
    lengths.push_back(std::sqrt(inner(row(r), row(r))));
    for (int pass = 0; pass < 2; ++pass) {
      for (std::int64_t other = first; other < r; ++other) {
        const double share = inner(row(r), row(other));
        for (std::int64_t c = 0; c < width; ++c) {
          row(r)[c] -= share * row(other)[c];
        }
      }
      const double length = std::sqrt(inner(row(r), row(r)));
      for (std::int64_t c = 0; c < width; ++c) {
        row(r)[c] /= length;
      }
    }
  }
  for (std::int64_t r = first; r < end; ++r) {
    for (std::int64_t c = 0; c < width; ++c) {
      row(r)[c] *= lengths[static_cast<std::size_t>(r - first)];
    }
  }
}

Tensor checked_projection(const Prepared& in, const Tensor& projection, const char* where) {
  check_same_floating(where, in.q, projection);
  if (projection.rank() != 2 || projection.size(1) != in.D) {
    fail("[{}] the projection must be (features, {}), got {}", where, in.D, describe(projection));
  }
  if (!in.beta.defined()) {
    fail("[{}] beta is missing", where);
  }
  return projection.contiguous();
}

}  // namespace

Tensor random_projection(std::int64_t features, std::int64_t width, bool orthogonal, Rng& rng,
                         DType dtype) {
  if (features < 1 || width < 1) {
    fail("[random_projection] features {} and width {} must be positive", features, width);
  }
  std::vector<double> rows = rng.normal({features, width}, 1.0, DType::f64).to_vector<double>();
  for (std::int64_t first = 0; orthogonal && first < features; first += width) {
    make_orthogonal(rows, first, std::min(first + width, features), width);
  }
  return Tensor::from<double>({features, width}, rows).to(dtype);
}

AttentionResult random_feature_attention(const AssociationInputs& inputs, const Tensor& projection,
                                         FeatureMap map) {
  const char* where = "random_feature_attention";
  const Prepared in(inputs.q, inputs.k, inputs.v, inputs.beta, inputs.key_lengths, where);
  const Tensor rows = checked_projection(in, projection, where);
  AttentionResult result{empty_heads(in.B, in.H, in.L, in.Dv, in.q),
                         Tensor::empty({in.B, in.H, in.L}, in.q.dtype(), in.q.device())};
  kernels::RandomFeatureForward p{};
  in.fill_in(p, inputs.causal);
  p.out = output(result.out);
  p.projection = rows.raw();
  p.beta = in.beta.raw();
  p.log_normaliser = result.statistics.mutable_raw();
  p.features = rows.size(0);
  p.map = map;
  Workspace workspace(
      on_device(in.q.device(),
                [&](const auto& at) { return kernels::random_feature_forward_workspace(p, at); }),
      in.q.device());
  p.workspace = workspace.data();
  check(on_device(in.q.device(),
                  [&](const auto& at) { return kernels::random_feature_forward(p, at); }),
        where, in.q, in.k, in.v);
  return result;
}

AttentionGradients random_feature_attention_backward(const AssociationInputs& inputs,
                                                     const Tensor& projection, FeatureMap map,
                                                     const AttentionResult& forward,
                                                     const Tensor& dout) {
  const char* where = "random_feature_attention_backward";
  const Prepared in(inputs.q, inputs.k, inputs.v, inputs.beta, inputs.key_lengths, where);
  const Tensor rows = checked_projection(in, projection, where);
  check_same_floating(where, in.q, dout);
  kernels::RandomFeatureBackward p{};
  in.fill_in(p, inputs.causal);
  const Tensor gradient = head_layout(dout);
  AttentionGradients result;
  result.dq = empty_heads(in.B, in.H, in.L, in.D, in.q);
  result.dk = empty_heads(in.B, in.H, in.M, in.D, in.q);
  result.dv = empty_heads(in.B, in.H, in.M, in.Dv, in.q);
  result.dbeta = Tensor::empty({in.H}, in.q.dtype(), in.q.device());
  p.out = input(forward.out);
  p.dout = input(gradient);
  p.dq = output(result.dq);
  p.dk = output(result.dk);
  p.dv = output(result.dv);
  p.dbeta = result.dbeta.mutable_raw();
  p.projection = rows.raw();
  p.beta = in.beta.raw();
  p.log_normaliser = forward.statistics.raw();
  p.features = rows.size(0);
  p.map = map;
  Workspace workspace(
      on_device(in.q.device(),
                [&](const auto& at) { return kernels::random_feature_backward_workspace(p, at); }),
      in.q.device());
  p.workspace = workspace.data();
  check(on_device(in.q.device(),
                  [&](const auto& at) { return kernels::random_feature_backward(p, at); }),
        where, in.q, in.k, in.v);
  return result;
}

}  // namespace basin

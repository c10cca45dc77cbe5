#include "tensor/functions/reduce.h"

#include <optional>

#include "kernels/reduce/reduce.h"
#include "tensor/check.h"
#include "tensor/workspace.h"

namespace basin {

namespace {

Tensor reduce_dim(kernels::ReduceOp op, const char* name, const Tensor& x, int dim, bool keep) {
  check_same_floating(name, x);
  dim = normalise_dim(dim, x.rank(), name);
  const Tensor source = x.contiguous();
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  for (int d = 0; d < x.rank(); ++d) {
    (d < dim ? outer : inner) *= d == dim ? 1 : x.shape()[d];
  }
  Shape shape = x.shape();
  if (keep) {
    shape[dim] = 1;
  } else {
    shape.erase(dim);
  }
  Tensor y =
      Tensor::empty(shape, op == kernels::ReduceOp::argmax ? DType::i64 : x.dtype(), x.device());
  kernels::Reduce p{op, source.raw(), y.mutable_raw(), outer, x.shape()[dim], inner, x.dtype()};
  const std::int64_t bytes =
      on_device(x.device(), [&](const auto& at) { return kernels::reduce_workspace(p, at); });
  std::optional<Workspace> workspace;  // most sums need none
  if (bytes > 0) {
    workspace.emplace(bytes, x.device());
    p.workspace = workspace->data();
  }
  check(on_device(x.device(), [&](const auto& at) { return kernels::reduce(p, at); }), name, x);
  return y;
}

}  // namespace

Tensor sum(const Tensor& x, int dim, bool keep) {
  return reduce_dim(kernels::ReduceOp::sum, "sum", x, dim, keep);
}

Tensor sum(const Tensor& x) { return sum(x.reshape({-1}), 0); }

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) {
    return x;
  }
  if (!(broadcast(x.shape(), shape, "sum_to") == x.shape())) {
    fail("[sum_to] {} is no broadcast of {}", describe(x), to_string(shape));
  }
  // Neighbouring summed dimensions at the front go in one pass: (B, L, D) to (D) is one column sum.
  Tensor result = x;
  const int extra = x.rank() - shape.rank();
  if (extra > 0) {
    Shape folded = {1};
    for (int d = 0; d < x.rank(); ++d) {
      if (d < extra) {
        folded[0] *= x.shape()[d];
      } else {
        folded.push_back(x.shape()[d]);
      }
    }
    result = sum(result.reshape(folded), 0);
  }
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1 && result.shape()[d] != 1) {
      result = sum(result, d, true);
    }
  }
  return result;
}

Tensor max(const Tensor& x, int dim, bool keep) {
  return reduce_dim(kernels::ReduceOp::max, "max", x, dim, keep);
}

Tensor argmax(const Tensor& x, int dim, bool keep) {
  return reduce_dim(kernels::ReduceOp::argmax, "argmax", x, dim, keep);
}

Tensor sum_of_squares(const Tensor& x) { return sum_of_squares(std::span(&x, 1)); }

Tensor sum_of_squares(std::span<const Tensor> tensors) {
  if (tensors.empty()) {
    fail("[sum_of_squares] needs at least one tensor");
  }
  const Tensor& first = tensors.front();
  std::vector<Tensor> sources;
  std::vector<kernels::NumberArray> arrays;
  std::int64_t partial_count = 0;
  for (const Tensor& x : tensors) {
    check_same_floating("sum_of_squares", first, x);
    sources.push_back(x.contiguous());
    arrays.push_back({sources.back().raw(), x.numel()});
    partial_count += kernels::sum_of_squares_partials(x.numel());
  }
  Tensor result = Tensor::empty({}, DType::f64, first.device());
  Tensor partials = Tensor::empty({partial_count}, DType::f64, first.device());
  const kernels::SumOfSquaresList p{arrays.data(), static_cast<std::int64_t>(arrays.size()),
                                    static_cast<double*>(result.mutable_raw()),
                                    static_cast<double*>(partials.mutable_raw()), first.dtype()};
  check(on_device(first.device(), [&](const auto& at) { return kernels::sum_of_squares(p, at); }),
        "sum_of_squares", first);
  return result;
}

}  // namespace basin

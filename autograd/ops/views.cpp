// reshape, transpose, slice, expand and concat: the elements stay, their places change. Each
// gradient puts the elements of dy back: reshape and transpose by the inverse view, slice into
// zeros, expand by summing over the repeated dimensions, concat by slicing.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/error.h"
#include "tensor/functions/reduce.h"

namespace basin {

Variable reshape(const Variable& x, const Shape& shape) {
  return record(
      "reshape", {x}, x.value().reshape(shape),
      [from = x.shape()](const Tensor& dy, auto) { return std::vector{dy.reshape(from)}; });
}

Variable transpose(const Variable& x, int a, int b) {
  return record("transpose", {x}, x.value().transpose(a, b),
                [a, b](const Tensor& dy, auto) { return std::vector{dy.transpose(a, b)}; });
}

Variable slice(const Variable& x, int dim, std::int64_t begin, std::int64_t end) {
  return record("slice", {x}, x.value().slice(dim, begin, end),
                [=, shape = x.shape()](const Tensor& dy, auto) {
                  Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
                  dx.slice(dim, begin, end).copy_from(dy);
                  return std::vector{dx};
                });
}

Variable expand(const Variable& x, const Shape& shape) {
  return record("expand", {x}, x.value().expand(shape), [from = x.shape()](const Tensor& dy, auto) {
    return std::vector{sum_to(dy, from)};
  });
}

Variable concat(const std::vector<Variable>& parts, int dim) {
  if (parts.empty()) {
    fail("[concat] needs at least one tensor");
  }
  dim = normalise_dim(dim, parts[0].shape().rank(), "concat");
  Shape shape = parts[0].shape();
  shape[dim] = 0;
  for (const Variable& part : parts) {
    Shape other = part.shape();
    shape[dim] += other.rank() > dim ? other[dim] : 0;
    if (other.rank() > dim) {
      other[dim] = shape[dim];
    }
    if (!(other == shape) || part.dtype() != parts[0].dtype()) {
      fail("[concat] {} cannot be joined to {} along dimension {}", describe(part.value()),
           describe(parts[0].value()), dim);
    }
  }
  Tensor y = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  std::vector<std::int64_t> starts = {0};
  for (const Variable& part : parts) {
    starts.push_back(starts.back() + part.size(dim));
    y.slice(dim, starts[starts.size() - 2], starts.back()).copy_from(part.value());
  }
  return record("concat", parts, y, [dim, starts](const Tensor& dy, auto) {
    std::vector<Tensor> gradients;
    for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
      gradients.push_back(dy.slice(dim, starts[i], starts[i + 1]));
    }
    return gradients;
  });
}

namespace {

using In = const std::vector<Variable>&;

const RegisterOp registered_views(
    {"views",
     [](Rng& rng) {
       const auto draw = [&](const Shape& shape) { return rng.normal(shape, 1.0, DType::f64); };
       return std::vector<OpSample>{
           {"reshape",
            {draw({2, 6})},
            [](In in) {
              return reshape(in[0], {3, -1});
            }},
           {"reshape of a transpose",
            {draw({2, 3, 4})},
            [](In in) {
              return reshape(transpose(in[0], 0, 1), {-1, 4});
            }},
           {"transpose", {draw({2, 3, 4})}, [](In in) { return transpose(in[0], 0, -1); }},
           {"slice", {draw({2, 5, 3})}, [](In in) { return slice(in[0], 1, 1, 4); }},
           {"empty slice", {draw({2, 5})}, [](In in) { return slice(in[0], 1, 2, 2); }},
           {"expand",
            {draw({3, 1})},
            [](In in) {
              return expand(in[0], {2, 3, 4});
            }},
           {"concat",
            {draw({2, 3}), draw({2, 1}), draw({2, 2})},
            [](In in) {
              return concat({in[0], in[1], in[2]}, 1);
            }},
           {"concat with itself", {draw({2, 3})}, [](In in) {
              return concat({in[0], in[0]}, 0);
            }}};
     },
     [] {
       const Variable x(Tensor::zeros({2, 3}, DType::f32));
       return std::vector<OpError>{
           {"reshape",
            [x] {
              (void)reshape(x, {4, 2});
            },
            "cannot take the shape (4, 2)"},
           {"slice", [x] { (void)slice(x, 1, 2, 5); }, "lies outside"},
           {"expand",
            [x] {
              (void)expand(x, {4, 3});
            },
            "(2, 3)"},
           {"transpose", [x] { (void)transpose(x, 0, 2); }, "no dimension 2"},
           {"concat",
            [x] {
              (void)concat({x, reshape(x, {3, 2})}, 0);
            },
            "cannot be joined"}};
     }});

}  // namespace

}  // namespace basin

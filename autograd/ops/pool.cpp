// mean: y_b = sum over valid t of x_bt / length_b; last: the state at length_b - 1; first: at 0. dx
// puts dy back where it came from and is 0 at padded positions, which are never read.
#include "autograd/node.h"
#include "autograd/opdb.h"
#include "autograd/operations.h"
#include "tensor/check.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/reduce.h"

namespace basin {

namespace {

// Of batch item b, the valid rows that count are begin[b] ... end[b] - 1.
struct Rows {
  std::vector<std::int64_t> begin, end;
};

Rows rows_of(const Tensor& x, const Tensor& lengths, Pooling pooling) {
  check_same_floating("pool", x);
  if (x.rank() != 3) {
    fail("[pool] needs (B, L, D), got {}", describe(x));
  }
  const std::int64_t B = x.size(0);
  std::vector<std::int64_t> length(static_cast<std::size_t>(B), x.size(1));
  if (lengths.defined()) {
    if (!(lengths.shape() == Shape{B}) || lengths.dtype() != DType::i64) {
      fail("[pool] lengths must be ({}) i64, got {}", B, describe(lengths));
    }
    length = lengths.to_vector<std::int64_t>();
  }
  Rows rows;
  for (std::size_t b = 0; b < length.size(); ++b) {
    if (length[b] < 1 || length[b] > x.size(1)) {
      fail("[pool] length {} of batch item {} lies outside [1, {}]", length[b], b, x.size(1));
    }
    rows.begin.push_back(pooling == Pooling::last ? length[b] - 1 : 0);
    rows.end.push_back(pooling == Pooling::first ? 1 : length[b]);
  }
  return rows;
}

}  // namespace

Variable pool(const Variable& x, const Tensor& lengths, Pooling pooling) {
  const Rows rows = rows_of(x.value(), lengths, pooling);
  const std::int64_t B = x.size(0);
  Tensor y = Tensor::empty({B, x.size(2)}, x.dtype(), x.device());
  for (std::int64_t b = 0; b < B; ++b) {
    const auto at = static_cast<std::size_t>(b);
    const Tensor valid = x.value().select(0, b).slice(0, rows.begin[at], rows.end[at]);
    y.select(0, b).copy_from(
        affine(sum(valid, 0), 1.0 / static_cast<double>(rows.end[at] - rows.begin[at]), 0.0));
  }
  return record("pool", {x}, y, [rows, shape = x.shape()](const Tensor& dy, auto) {
    Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
    for (std::int64_t b = 0; b < shape[0]; ++b) {
      const auto at = static_cast<std::size_t>(b);
      Tensor valid = dx.select(0, b).slice(0, rows.begin[at], rows.end[at]);
      valid.copy_from(
          affine(dy.select(0, b), 1.0 / static_cast<double>(rows.end[at] - rows.begin[at]), 0.0)
              .expand(valid.shape()));
    }
    return std::vector{dx};
  });
}

namespace {

const RegisterOp registered_pool(
    {"pool",
     [](Rng& rng) {
       const Tensor lengths = Tensor::from<std::int64_t>({3}, std::vector<std::int64_t>{4, 1, 3});
       std::vector<OpSample> samples;
       for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::first}) {
         samples.push_back(
             {"padded",
              {rng.normal({3, 4, 2}, 1.0, DType::f64)},
              [=](const std::vector<Variable>& in) { return pool(in[0], lengths, pooling); }});
         samples.push_back(
             {"whole",
              {rng.normal({2, 3, 2}, 1.0, DType::f64)},
              [=](const std::vector<Variable>& in) { return pool(in[0], Tensor(), pooling); }});
       }
       return samples;
     },
     [] {
       const Variable x(Tensor::zeros({2, 3, 4}, DType::f32));
       return std::vector<OpError>{
           {"empty item", [x] { (void)pool(x, Tensor::zeros({2}, DType::i64), Pooling::mean); },
            "outside [1, 3]"},
           {"count", [x] { (void)pool(x, Tensor::full({3}, 1, DType::i64), Pooling::mean); },
            "(2) i64"}};
     }});

}  // namespace

}  // namespace basin

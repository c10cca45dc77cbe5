// Tensor functions against their definitions written as loops, in f64 and f32, for every layout an
// operand can have. What a kernel computes is tested with the kernels; here it is strides, shapes,
// errors and the way kernels are called.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/functions/cross_entropy.h"
#include "tensor/functions/elementwise.h"
#include "tensor/functions/lookup.h"
#include "tensor/functions/matmul.h"
#include "tensor/functions/normalise.h"
#include "tensor/functions/reduce.h"
#include "tensor/rng.h"
#include "tests/support/allocators.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin {
namespace {

using test::largest_difference;
using test::refuses;
using test::same_bits;

constexpr DType kFloating[] = {DType::f32, DType::f64};

// For sums of some dozen products of numbers around 1: a few roundings of the sum.
double tolerance(DType dtype) { return dtype == DType::f32 ? 1e-5 : 1e-13; }

Tensor draw(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64) {
  return Rng(seed).normal(shape, 1.0, DType::f64).to(dtype);
}

// The same elements in other places: every layout of a matrix or a batch of them.
std::vector<Tensor> layouts(const Tensor& x) {
  std::vector<Tensor> all = {x};
  const int last = x.rank() - 1;
  if (x.rank() >= 2) {
    all.push_back(x.transpose(last - 1, last).contiguous().transpose(last - 1, last));
    // Rows with a gap between them.
    Shape wide = x.shape();
    wide[last] += 3;
    Tensor padded = Tensor::full(wide, std::nan(""), x.dtype());
    Tensor inner = padded.slice(last, 1, 1 + x.size(last));
    inner.copy_from(x);
    all.push_back(inner);
    // A step of more than one along both of the last dimensions.
    Shape both = x.shape();
    both.push_back(2);
    Tensor spread = Tensor::full(both, std::nan(""), x.dtype()).select(x.rank(), 1);
    spread.copy_from(x);
    all.push_back(spread);
  }
  if (x.rank() == 3) {
    all.push_back(x.permute({1, 0, 2}).contiguous().permute({1, 0, 2}));
    all.push_back(x.permute({2, 1, 0}).contiguous().permute({2, 1, 0}));
  }
  return all;
}

std::vector<double> product_of(const Tensor& a, const Tensor& b) {
  const std::int64_t m = a.size(-2);
  const std::int64_t k = a.size(-1);
  const std::int64_t n = b.size(-1);
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  std::int64_t batch = 1;
  for (int d = 0; d < a.rank() - 2; ++d) {
    batch *= a.size(d);
  }
  std::vector<double> result;
  for (std::int64_t at = 0; at < batch * m * n; ++at) {
    const std::int64_t matrix = at / (m * n);
    const std::int64_t i = at / n % m;
    const std::int64_t j = at % n;
    double total = 0;
    for (std::int64_t l = 0; l < k; ++l) {
      total += x[static_cast<std::size_t>((matrix * m + i) * k + l)] *
               y[static_cast<std::size_t>(((b.rank() == 2 ? 0 : matrix) * k + l) * n + j)];
    }
    result.push_back(total);
  }
  return result;
}

TEST(Matmul, MultipliesEveryLayout) {
  const ScopedAllocator scope(std::make_shared<test::NanFillingAllocator>());
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{3, 4}, {4, 5}},       {{1, 4}, {4, 5}},
      {{3, 1}, {1, 5}},       {{3, 4}, {4, 1}},
      {{1, 1}, {1, 1}},       {{2, 3, 4}, {4, 5}},
      {{2, 3, 4}, {2, 4, 5}}, {{2, 1, 4}, {2, 4, 1}},
      {{1, 3, 4}, {1, 4, 5}}, {{2, 2, 3, 4}, {2, 2, 4, 5}},
      {{3, 1, 1}, {3, 1, 1}}};
  for (const DType dtype : kFloating) {
    for (const auto& [left, right] : shapes) {
      const Tensor a = draw(left, 1, dtype);
      const Tensor b = draw(right, 2, dtype);
      const std::vector<double> expected = product_of(a, b);
      Shape shape = left;
      shape[shape.rank() - 1] = right[right.rank() - 1];
      for (const Tensor& x : layouts(a)) {
        for (const Tensor& y : layouts(b)) {
          const Tensor c = matmul(x, y);
          EXPECT_TRUE(largest_difference(c, Tensor::from<double>(shape, expected)) <=
                      tolerance(dtype))
              << describe(a) << " " << to_string(x.strides()) << " by " << describe(b) << " "
              << to_string(y.strides());
        }
      }
    }
  }
}

TEST(Matmul, TakesARepeatedOperandWithoutACopy) {
  const Tensor a = draw({1, 3, 4}, 1);
  const Tensor b = draw({5, 4, 2}, 2);
  const Tensor wide = a.expand({5, 3, 4});
  EXPECT_TRUE(largest_difference(matmul(wide, b), matmul(wide.clone(), b)) <= 1e-13);
  const Tensor row = draw({1, 4}, 3).expand({3, 4});
  EXPECT_TRUE(largest_difference(matmul(row, b.select(0, 0)),
                                 matmul(row.clone(), b.select(0, 0))) <= 1e-13);
}

TEST(Matmul, WithNoElementsGivesZerosOrNothing) {
  const ScopedAllocator scope(std::make_shared<test::NanFillingAllocator>());
  const auto zeros = [](const Shape& shape) { return Tensor::zeros(shape, DType::f32); };
  // The empty sum is 0, also where the shape leaves nothing to count rows by.
  EXPECT_TRUE(same_bits(matmul(zeros({2, 0}), zeros({0, 3})), zeros({2, 3})));
  EXPECT_TRUE(same_bits(matmul(zeros({2, 3, 0}), zeros({0, 4})), zeros({2, 3, 4})));
  EXPECT_TRUE(same_bits(matmul(zeros({2, 3, 0}), zeros({2, 0, 4})), zeros({2, 3, 4})));
  EXPECT_TRUE(matmul(zeros({0, 3}), zeros({3, 4})).shape() == Shape({0, 4}));
  EXPECT_TRUE(matmul(zeros({2, 0, 3}), zeros({3, 4})).shape() == Shape({2, 0, 4}));
  EXPECT_TRUE(matmul(zeros({0, 2, 3}), zeros({0, 3, 4})).shape() == Shape({0, 2, 4}));
  const Tensor bias = draw({4}, 1, DType::f32);
  EXPECT_TRUE(same_bits(linear(zeros({2, 3, 0}), zeros({4, 0}), bias),
                        bias.expand({2, 3, 4}).contiguous()));
}

TEST(Matmul, RefusesWhatDoesNotFit) {
  const auto zeros = [](const Shape& shape) { return Tensor::zeros(shape, DType::f32); };
  EXPECT_TRUE(refuses<Error>(
      [&] {
        (void)matmul(zeros({2, 3}), zeros({4, 5}));
      },
      {"[matmul]", "(2, 3) f32", "(4, 5) f32"}));
  EXPECT_TRUE(refuses<Error>([&] { (void)matmul(zeros({3}), zeros({3, 2})); }, {"(3) f32"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        (void)matmul(zeros({2, 3}), zeros({2, 3, 4}));
      },
      {"leading dimensions", "(2, 3) f32", "(2, 3, 4) f32"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        (void)matmul(zeros({2, 3}), Tensor::zeros({3, 2}, DType::f64));
      },
      {"differ in dtype", "f32", "f64"}));
  EXPECT_TRUE(refuses<Error>(
      [&] {
        (void)matmul(Tensor::zeros({2, 3}, DType::i32), Tensor::zeros({3, 2}, DType::i32));
      },
      {"f32 or f64", "i32"}));
}

TEST(Linear, IsXTimesWeightTransposedPlusBias) {
  for (const DType dtype : kFloating) {
    for (const Shape& shape : {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}}) {
      const Tensor x = draw(shape, 1, dtype);
      const Tensor weight = draw({5, 4}, 2, dtype);
      const Tensor bias = draw({5}, 3, dtype);
      const Tensor rows = x.reshape({-1, 4});
      const Tensor product =
          Tensor::from<double>({rows.size(0), 5}, product_of(rows, weight.transpose(0, 1)));
      const Tensor y = linear(x, weight, Tensor());
      EXPECT_TRUE(largest_difference(y.reshape({-1, 5}), product) <= tolerance(dtype));
      const Tensor expected = add(product, bias.to(DType::f64));
      EXPECT_TRUE(largest_difference(linear(x, weight, bias).reshape({-1, 5}), expected) <=
                  tolerance(dtype));
    }
  }
  EXPECT_TRUE(refuses<Error>(
      [] {
        (void)linear(draw({3, 4}, 1), draw({5, 4}, 2), draw({4}, 3));
      },
      {"[linear]", "bias must be (5)", "(4) f64"}));
}

TEST(Unary, AgreesBetweenF32AndF64ForEveryLine) {
  for (int line = 0; line < static_cast<int>(kernels::UnaryOp::count); ++line) {
    const auto op = static_cast<kernels::UnaryOp>(line);
    const kernels::ElementwiseInfo info = kernels::info(op);
    const Tensor x = Rng(1).uniform({3, 50}, info.low, info.high, DType::f32);
    const Tensor single = unary(op, x);
    const Tensor twice = unary(op, x.to(DType::f64));
    // Formulas made of functions with a relative error of a few 2^-24, of results below about 20.
    const double largest = std::abs(max(abs(twice.reshape({-1})), 0).item());
    EXPECT_TRUE(largest_difference(single, twice) <= 2e-6 * (1 + largest)) << info.name;
    EXPECT_TRUE(same_bits(unary(op, x.transpose(0, 1)), single.transpose(0, 1))) << info.name;
    EXPECT_TRUE(unary(op, Tensor::zeros({0, 3}, DType::f32)).shape() == Shape({0, 3}));
  }
}

TEST(Binary, AgreesWithExpandedOperandsForEveryLine) {
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{3, 4}, {3, 4}}, {{2, 3, 4}, {4}}, {{3, 1}, {3, 4}}, {{2, 1, 4}, {3, 1}},
      {{}, {3, 4}},     {{1}, {}},        {{0, 3}, {3}},    {{2, 3}, {1, 1, 1, 1}}};
  for (int line = 0; line < static_cast<int>(kernels::BinaryOp::count); ++line) {
    const auto op = static_cast<kernels::BinaryOp>(line);
    const kernels::ElementwiseInfo info = kernels::info(op);
    for (const auto& [left, right] : shapes) {
      const Tensor a = Rng(1).uniform(left, info.low, info.high, DType::f32);
      const Tensor b = Rng(2).uniform(right, info.low, info.high, DType::f32);
      const Shape shape = broadcast(left, right, "test");
      const Tensor y = binary(op, a, b);
      EXPECT_TRUE(y.shape() == shape);
      const Tensor x1 = a.expand(shape).clone();
      const Tensor x2 = b.expand(shape).clone();
      EXPECT_TRUE(same_bits(y, binary(op, x1, x2))) << info.name;
      const Tensor twice = binary(op, x1.to(DType::f64), x2.to(DType::f64));
      // One rounding of a result below 9.
      EXPECT_TRUE(largest_difference(y, twice) <= 1e-6) << info.name;
    }
  }
  EXPECT_TRUE(refuses<Error>(
      [] {
        (void)add(draw({2, 3}, 1), draw({3, 2}, 1));
      },
      {"[add]", "(2, 3)", "(3, 2)"}));
}

TEST(Affine, ScalesAndShifts) {
  const Tensor x = draw({3, 4}, 1);
  const std::vector<double> values = x.transpose(0, 1).to_vector<double>();
  const std::vector<double> result = affine(x.transpose(0, 1), -2.0, 0.5).to_vector<double>();
  for (std::size_t n = 0; n < values.size(); ++n) {
    EXPECT_EQ(result[n], -2.0 * values[n] + 0.5);
  }
}

TEST(Accumulate, AddsInPlaceFromAnyStrides) {
  Tensor to = draw({3, 4}, 1);
  const Tensor before = to.clone();
  const Tensor from = draw({4, 3}, 2).transpose(0, 1);
  accumulate(to, from);
  EXPECT_TRUE(same_bits(to, add(before, from)));
  EXPECT_TRUE(refuses<Error>([&] { accumulate(to, draw({4}, 1)); }, {"(4) f64", "(3, 4) f64"}));
  Tensor view = to.transpose(0, 1);
  EXPECT_TRUE(refuses<Error>([&] { accumulate(view, view); }, {"[accumulate]"}));
}

// The sum over one dimension, by the definition.
Tensor sum_of(const Tensor& x, int dim) {
  Tensor total = Tensor::zeros(x.select(dim, 0).shape(), DType::f64);
  for (std::int64_t at = 0; at < x.size(dim); ++at) {
    total = add(total, x.select(dim, at).to(DType::f64));
  }
  return total;
}

TEST(Reduce, SumsAlongEveryDimension) {
  for (const DType dtype : kFloating) {
    const Tensor x = draw({2, 3, 4}, 1, dtype);
    for (const Tensor& layout : layouts(x)) {
      for (int dim = -3; dim < 3; ++dim) {
        const Tensor expected = sum_of(x, dim < 0 ? dim + 3 : dim);
        EXPECT_TRUE(largest_difference(sum(layout, dim), expected) <= tolerance(dtype));
        EXPECT_TRUE(same_bits(sum(layout, dim, true).reshape(expected.shape()), sum(layout, dim)));
        EXPECT_EQ(sum(layout, dim, true).size(dim), 1);
      }
      EXPECT_TRUE(largest_difference(sum(layout), sum_of(x.reshape({24}), 0)) <= tolerance(dtype));
    }
  }
  EXPECT_TRUE(same_bits(sum(Tensor::zeros({2, 0}, DType::f32), 1), Tensor::zeros({2}, DType::f32)));
  EXPECT_EQ(sum(Tensor::zeros({0}, DType::f32)).item(), 0.0);
}

TEST(Reduce, SumToUndoesBroadcasting) {
  const Tensor x = draw({2, 3, 4}, 1);
  const auto check = [&](const Shape& shape, const Tensor& expected) {
    EXPECT_TRUE(largest_difference(sum_to(x, shape), expected) <= 1e-13) << to_string(shape);
  };
  check({4}, sum_of(sum_of(x, 0), 0));
  check({3, 4}, sum_of(x, 0));
  check({3, 1}, sum_of(sum_of(x, 0), 1).reshape({3, 1}));
  check({2, 1, 4}, sum_of(x, 1).reshape({2, 1, 4}));
  check({1, 1, 1}, sum_of(x.reshape({24}), 0).reshape({1, 1, 1}));
  check({}, sum_of(x.reshape({24}), 0));
  EXPECT_TRUE(sum_to(x, {2, 3, 4}).shares_storage(x));
  EXPECT_TRUE(sum_to(Tensor::zeros({0, 3}, DType::f32), {3}).shape() == Shape{3});
  EXPECT_TRUE(refuses<Error>([&] { (void)sum_to(x, {5}); }, {"[sum_to]", "(2, 3, 4)", "(5)"}));
  EXPECT_TRUE(refuses<Error>([] { (void)sum_to(draw({1}, 1), {3}); }, {"[sum_to]", "(1)", "(3)"}));
}

TEST(Reduce, MaxAndArgmaxTakeTheFirstOfEqualsAndNanAboveAll) {
  const double nan = std::nan("");
  const Tensor x = Tensor::from<double>({2, 4}, std::vector<double>{1, 7, 3, 7, 2, nan, 9, nan});
  EXPECT_EQ(argmax(x, 1).to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(argmax(x, 1).dtype(), DType::i64);
  EXPECT_EQ(max(x, 1).to_vector<double>()[0], 7.0);
  EXPECT_TRUE(std::isnan(max(x, 1).to_vector<double>()[1]));
  EXPECT_EQ(argmax(x.transpose(0, 1), 0).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{1, 1}));
  EXPECT_TRUE(argmax(x, 1, true).shape() == Shape({2, 1}));
  EXPECT_TRUE(refuses<Error>(
      [] {
        (void)max(Tensor::zeros({2, 0}, DType::f32), 1);
      },
      {"[max]", "(2, 0) f32"}));
}

TEST(Reduce, SumOfSquares) {
  const Tensor x = draw({3, 5}, 1, DType::f32);
  double expected = 0;
  for (const double value : x.to_vector<double>()) {
    expected += value * value;
  }
  EXPECT_TRUE(std::abs(sum_of_squares(x.transpose(0, 1)).item() - expected) <= 1e-13 * expected);
  EXPECT_EQ(sum_of_squares(Tensor::zeros({0}, DType::f64)).item(), 0.0);
}

TEST(Softmax, RowsSumToOneAndHiddenScoresGetNothing) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : kFloating) {
    Tensor x = draw({2, 3, 5}, 1, dtype);
    x.select(2, 4).fill(-infinity);
    x.select(0, 1).select(0, 2).fill(-infinity);  // a row with nothing visible
    const Tensor y = softmax(x);
    const std::vector<double> sums = sum(y, -1).to_vector<double>();
    for (std::size_t row = 0; row < sums.size(); ++row) {
      EXPECT_TRUE(std::abs(sums[row] - (row == 5 ? 0.0 : 1.0)) <= tolerance(dtype)) << row;
    }
    EXPECT_EQ(y.select(2, 4).to_vector<double>(), std::vector<double>(6, 0.0));
    for (const Tensor& layout : layouts(x)) {
      EXPECT_TRUE(same_bits(softmax(layout), y));
    }
  }
}

TEST(LayerNorm, StandardisesEachRow) {
  for (const DType dtype : kFloating) {
    const Tensor x = affine(draw({2, 3, 64}, 1, dtype), 3.0, 5.0);
    const LayerNormResult result = layer_norm(x, Tensor(), Tensor(), 1e-5);
    for (int row = 0; row < 6; ++row) {
      const Tensor y = result.y.reshape({6, 64}).select(0, row).to(DType::f64);
      EXPECT_TRUE(std::abs(sum(y).item()) <= 64 * tolerance(dtype));
      // The variance is about 9, so eps takes 1e-6 of it.
      EXPECT_TRUE(std::abs(sum_of_squares(y).item() / 64 - 1) <= 1e-5);
    }
    const Tensor weight = draw({64}, 2, dtype);
    const Tensor bias = draw({64}, 3, dtype);
    EXPECT_TRUE(largest_difference(layer_norm(x, weight, bias, 1e-5).y,
                                   add(mul(result.y, weight), bias)) <= tolerance(dtype));
    for (const Tensor& layout : layouts(x)) {
      EXPECT_TRUE(same_bits(layer_norm(layout, Tensor(), Tensor(), 1e-5).y, result.y));
    }
  }
}

TEST(Embedding, CopiesRows) {
  const Tensor table = draw({5, 3}, 1, DType::f32);
  const Tensor ids = Tensor::from<std::int64_t>({2, 2}, std::vector<std::int64_t>{4, 0, 2, 4});
  const Tensor rows = embedding(table, ids);
  EXPECT_TRUE(rows.shape() == Shape({2, 2, 3}));
  EXPECT_TRUE(same_bits(rows.select(0, 0).select(0, 0), table.select(0, 4)));
  EXPECT_TRUE(same_bits(rows.select(0, 1).select(0, 0), table.select(0, 2)));
  const Tensor turned = embedding(table, ids.transpose(0, 1));
  EXPECT_TRUE(same_bits(turned, rows.transpose(0, 1)));
  EXPECT_TRUE(embedding(table, Tensor::zeros({0}, DType::i64)).shape() == Shape({0, 3}));
  EXPECT_TRUE(refuses<Error>([&] { (void)embedding(table, Tensor::full({2}, 5, DType::i64)); },
                             {"[embedding]", "position 0", "(5, 3) f32"}));
}

TEST(Dropout, ZeroesItsShareAndScalesTheRest) {
  constexpr std::int64_t count = 40000;
  const Tensor ones = Tensor::full({200, 200}, 1.0, DType::f32);
  const std::vector<float> y = dropout(ones, 0.3, 1, 2).to_vector<float>();
  const auto zeros = std::count(y.begin(), y.end(), 0.0f);
  // Five standard deviations of a binomial count.
  EXPECT_TRUE(std::abs(static_cast<double>(zeros) - 0.3 * count) <=
              5 * std::sqrt(0.3 * 0.7 * count));
  for (const float value : y) {
    EXPECT_TRUE(value == 0.0f || std::abs(value - 1.0f / 0.7f) <= 1e-6f);
  }
  EXPECT_EQ(dropout(ones, 0.3, 1, 2).to_vector<float>(), y);
  EXPECT_NE(dropout(ones, 0.3, 1, 3).to_vector<float>(), y);
  EXPECT_NE(dropout(ones, 0.3, 2, 2).to_vector<float>(), y);
  EXPECT_TRUE(same_bits(dropout(ones, 0.0, 1, 2), ones));
}

TEST(CrossEntropy, AgreesWithItsDefinitionAndCountsRows) {
  const Tensor logits = draw({2, 3, 5}, 1);
  const std::vector<std::int64_t> targets = {0, 4, -100, 2, 2, 1};
  for (const double smoothing : {0.0, 0.2}) {
    const std::vector<double> z = logits.to_vector<double>();
    double expected = 0;
    for (std::size_t row = 0; row < 6; ++row) {
      if (targets[row] == -100) {
        continue;
      }
      double total = 0;
      double mean = 0;
      for (std::size_t c = 0; c < 5; ++c) {
        total += std::exp(z[row * 5 + c]);
        mean += z[row * 5 + c] / 5;
      }
      expected += std::log(total) - smoothing * mean -
                  (1 - smoothing) * z[row * 5 + static_cast<std::size_t>(targets[row])];
    }
    for (const Tensor& layout : layouts(logits)) {
      const CrossEntropyResult result =
          cross_entropy(layout, Tensor::from<std::int64_t>({2, 3}, targets), -100, smoothing);
      EXPECT_EQ(result.count, 5);
      EXPECT_TRUE(std::abs(result.loss.item() - expected / 5) <= 1e-13);
    }
  }
  EXPECT_TRUE(refuses<Error>(
      [&] { (void)cross_entropy(logits, Tensor::zeros({2}, DType::i64), -100, 0.0); },
      {"[cross_entropy]", "(2, 3, 5) f64", "(2) i64"}));
}

}  // namespace
}  // namespace basin

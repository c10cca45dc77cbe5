// What the kernel table does not say about kernels that join two steps: they give what the steps
// give one after the other, and may write over their inputs where that is promised.
#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "kernels/elementwise/elementwise.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/linear_gelu.h"
#include "kernels/norm/add_layer_norm.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/simd/isa.h"
#include "tests/kernels/support.h"

namespace basin::kernels {
namespace {

template <class T>
std::vector<T> numbers(std::int64_t count, std::uint64_t seed) {
  return uniform_numbers<T>(count, seed, -2, 2);
}

std::vector<std::max_align_t> bytes(std::int64_t count) {
  return std::vector<std::max_align_t>(static_cast<std::size_t>(count) / sizeof(std::max_align_t) +
                                       1);
}

template <class T>
class Fused : public testing::Test {
 protected:
  const TestContext context_{2};
};
using Floats = testing::Types<float, double>;
TYPED_TEST_SUITE(Fused, Floats);

TYPED_TEST(Fused, LinearGeluIsTheProductAndItsActivation) {
  using T = TypeParam;
  constexpr std::int64_t rows = 203, in = 300, out = 130;
  const std::vector<T> x = numbers<T>(rows * in, 1);
  const std::vector<T> weight = numbers<T>(out * in, 2);
  const std::vector<T> bias = numbers<T>(out, 3);
  const auto run = [&](int variant, std::vector<T>& z, std::vector<T>& y) {
    LinearGeluForward p{};
    p.x = x.data();
    p.weight = weight.data();
    p.bias = bias.data();
    p.z = z.data();
    p.y = y.data();
    p.rows = rows;
    p.in = in;
    p.out = out;
    p.dtype = dtype_of<T>;
    p.variant = variant;
    auto workspace = bytes(linear_gelu_workspace(p, this->context_));
    p.workspace = workspace.data();
    EXPECT_TRUE(linear_gelu_forward(p, this->context_).ok());
  };
  std::vector<T> z1(rows * out), y1(rows * out), z2(rows * out), y2(rows * out);
  run(1, z1, y1);
  run(2, z2, y2);
  if (isa() != Isa::baseline) {  // there variant 1 takes the product of OpenBLAS
    EXPECT_EQ(z1, z2);
    EXPECT_EQ(y1, y2);
  }
  std::vector<T> over(rows * out);
  for (const int variant : {1, 2}) {
    run(variant, over, over);
    EXPECT_EQ(over, variant == 1 ? y1 : y2) << "y in the place of z, variant " << variant;
  }
}

TYPED_TEST(Fused, LinearGeluBackwardMayWriteOverItsGradient) {
  using T = TypeParam;
  constexpr std::int64_t rows = 131, out = 77;
  const std::vector<T> z = numbers<T>(rows * out, 4);
  std::vector<T> dy = numbers<T>(rows * out, 5);
  std::vector<T> apart(rows * out), dbias(out), expected(out), unary(rows * out);
  std::vector<double> workspace(
      static_cast<std::size_t>(linear_gelu_backward_workspace(rows, out)));
  const auto run = [&](T* dz, T* bias) {
    const LinearGeluBackward p{z.data(),         dy.data(), dz,  bias,
                               workspace.data(), rows,      out, dtype_of<T>};
    EXPECT_TRUE(linear_gelu_backward(p, this->context_).ok());
  };
  run(apart.data(), expected.data());
  ASSERT_TRUE(unary_backward({UnaryOp::gelu, z.data(), z.data(), dy.data(), unary.data(),
                              rows * out, dtype_of<T>},
                             this->context_)
                  .ok());
  if (isa() != Isa::baseline) {  // there the table's formula is used, not its vector form
    EXPECT_EQ(apart, unary);
  }
  std::vector<T> without(rows * out);
  run(without.data(), nullptr);
  EXPECT_EQ(without, apart);
  run(dy.data(), dbias.data());
  EXPECT_EQ(dy, apart);
  EXPECT_EQ(dbias, expected);
}

TYPED_TEST(Fused, AddLayerNormIsASumAndItsNorm) {
  using T = TypeParam;
  constexpr std::int64_t rows = 131, cols = 45;
  constexpr double eps = 1e-5;
  const DType dtype = dtype_of<T>;
  std::vector<T> x = numbers<T>(rows * cols, 6);
  const std::vector<T> residual = numbers<T>(rows * cols, 7);
  const std::vector<T> weight = numbers<T>(cols, 8);
  const std::vector<T> bias = numbers<T>(cols, 9);
  std::vector<T> added(rows * cols), y(rows * cols), mean(rows), rstd(rows);
  for (std::size_t i = 0; i < added.size(); ++i) {
    added[i] = x[i] + residual[i];
  }
  ASSERT_TRUE(layer_norm_forward({added.data(), weight.data(), bias.data(), y.data(), mean.data(),
                                  rstd.data(), rows, cols, cols, cols, eps, dtype},
                                 this->context_)
                  .ok());
  std::vector<T> sum(rows * cols), normalised(rows * cols), mean2(rows), rstd2(rows);
  const auto run = [&](T* to) {
    EXPECT_TRUE(add_layer_norm_forward(
                    {x.data(), residual.data(), weight.data(), bias.data(), to, normalised.data(),
                     mean2.data(), rstd2.data(), rows, cols, eps, dtype},
                    this->context_)
                    .ok());
    EXPECT_EQ(normalised, y);
    EXPECT_EQ(mean2, mean);
    EXPECT_EQ(rstd2, rstd);
  };
  run(sum.data());
  EXPECT_EQ(sum, added);
  run(x.data());
  EXPECT_EQ(x, added);

  const std::vector<T> dy = numbers<T>(rows * cols, 10);
  std::vector<T> dsum = numbers<T>(rows * cols, 11);
  std::vector<double> workspace(
      static_cast<std::size_t>(add_layer_norm_backward_workspace(rows, cols)));
  std::vector<T> slope(rows * cols), dweight(cols), dbias(cols);
  ASSERT_TRUE(layer_norm_backward(
                  {sum.data(), weight.data(), mean.data(), rstd.data(), dy.data(), slope.data(),
                   dweight.data(), dbias.data(), workspace.data(), rows, cols, dtype},
                  this->context_)
                  .ok());
  std::vector<T> total(rows * cols), dweight2(cols), dbias2(cols);
  for (std::size_t i = 0; i < total.size(); ++i) {
    total[i] = dsum[i] + slope[i];
  }
  ASSERT_TRUE(add_layer_norm_backward({sum.data(), weight.data(), mean.data(), rstd.data(),
                                       dsum.data(), dy.data(), dsum.data(), dweight2.data(),
                                       dbias2.data(), workspace.data(), rows, cols, dtype},
                                      this->context_)
                  .ok());
  EXPECT_EQ(dsum, total) << "dx in the place of dsum";
  EXPECT_EQ(dweight2, dweight);
  EXPECT_EQ(dbias2, dbias);
  ASSERT_TRUE(add_layer_norm_backward(
                  {sum.data(), weight.data(), mean.data(), rstd.data(), nullptr, dy.data(), nullptr,
                   dweight2.data(), dbias2.data(), workspace.data(), rows, cols, dtype},
                  this->context_)
                  .ok());
  EXPECT_EQ(dweight2, dweight);
}

// Segments of every kind side by side: none, short, long.
TYPED_TEST(Fused, EmbeddingGradientHasTheBitsOfTheOrderOfPositions) {
  using T = TypeParam;
  constexpr std::int64_t count = 3100, width = 70, vocabulary = 40;
  std::vector<std::int64_t> ids;
  for (std::int64_t t = 0; t < count; ++t) {
    ids.push_back(t % 3 != 0 ? 5 : (t * 7919) % 31 + 6);  // 5 two thousand times, some never
  }
  const std::vector<T> dy = numbers<T>(count * width, 12);
  std::vector<T> expected(vocabulary * width, T(0));
  for (std::int64_t t = 0; t < count; ++t) {
    for (std::int64_t c = 0; c < width; ++c) {
      expected[static_cast<std::size_t>(ids[static_cast<std::size_t>(t)] * width + c)] +=
          dy[static_cast<std::size_t>(t * width + c)];
    }
  }
  for (const int variant : {0, 1, 2}) {
    std::vector<T> dtable(vocabulary * width, T(7));
    EmbeddingBackward p{ids.data(), dy.data(), dtable.data(), count,
                        vocabulary, width,     dtype_of<T>};
    p.variant = variant;
    auto workspace = bytes(embedding_backward_workspace(p, this->context_));
    p.workspace = workspace.data();
    ASSERT_TRUE(embedding_backward(p, this->context_).ok());
    EXPECT_EQ(dtable, expected) << "variant " << variant;
  }
}

TEST(FusedStatus, RefusesWhatItCannotDo) {
  const TestContext context(1);
  double cells[16] = {};
  LinearGeluForward linear{cells, cells, nullptr, cells, cells, 2, 2, 2, nullptr, DType::f64, 2};
  EXPECT_EQ(linear_gelu_forward(linear, context).code, Status::Code::invalid_argument);
  linear.variant = 3;
  EXPECT_EQ(linear_gelu_forward(linear, context).code, Status::Code::invalid_argument);
  linear.variant = 0;
  linear.rows = -1;
  EXPECT_EQ(linear_gelu_forward(linear, context).code, Status::Code::invalid_argument);
  EXPECT_EQ(add_layer_norm_forward({cells, cells, nullptr, nullptr, cells, cells, cells, cells, 2,
                                    0, 1e-5, DType::f64},
                                   context)
                .code,
            Status::Code::invalid_argument);
  const std::int64_t ids[] = {0, 1};
  EmbeddingBackward embedding{ids, cells, cells, 2, 2, 2, DType::f64};
  EXPECT_EQ(embedding_backward(embedding, context).code, Status::Code::invalid_argument);
  embedding.variant = 3;
  EXPECT_EQ(embedding_backward(embedding, context).code, Status::Code::invalid_argument);
  for (const DType dtype : {DType::i64, DType::bf16}) {
    linear = {cells, cells, nullptr, cells, cells, 2, 2, 2, cells, dtype, 1};
    EXPECT_EQ(linear_gelu_forward(linear, context).code, Status::Code::unsupported);
    EXPECT_EQ(
        linear_gelu_backward({cells, cells, cells, nullptr, nullptr, 2, 2, dtype}, context).code,
        Status::Code::unsupported);
    EXPECT_EQ(add_layer_norm_forward(
                  {cells, cells, nullptr, nullptr, cells, cells, cells, cells, 2, 2, 1e-5, dtype},
                  context)
                  .code,
              Status::Code::unsupported);
    EXPECT_EQ(add_layer_norm_backward({cells, nullptr, cells, cells, nullptr, cells, cells, nullptr,
                                       nullptr, nullptr, 2, 2, dtype},
                                      context)
                  .code,
              Status::Code::unsupported);
  }
}

}  // namespace
}  // namespace basin::kernels

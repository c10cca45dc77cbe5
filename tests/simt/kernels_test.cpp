// What the cases of the table leave out: more rows than a grid has blocks, absent arrays, empty
// problems, requests that the CUDA kernels refuse.
#include <cmath>

#include "kernels/elementwise/elementwise.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/reduce/reduce.h"
#include "kernels/softmax/softmax.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr std::int64_t kManyRows = 2200;  // a grid has at most 2112 blocks of one row

void expect_near(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_TRUE(std::abs(found[i] - expected[i]) <= 2e-6f * (1 + std::abs(expected[i])))
        << i << ": " << found[i] << ", expected " << expected[i];
  }
}

TEST(SoftmaxOnSimt, DoesSeveralRowsInABlock) {
  const std::int64_t cols = 3;
  const auto x = uniform_numbers<float>(kManyRows * cols, 1);
  const auto dy = uniform_numbers<float>(kManyRows * cols, 2);
  const TestContext cpu;
  std::vector<float> y(x.size());
  std::vector<float> dx(x.size());
  ASSERT_TRUE(softmax_forward({x.data(), y.data(), kManyRows, cols, DType::f32}, cpu.get()).ok());
  ASSERT_TRUE(
      softmax_backward({y.data(), dy.data(), dx.data(), kManyRows, cols, DType::f32}, cpu.get())
          .ok());
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    std::vector<float> found(x.size());
    ASSERT_TRUE(softmax_forward({x.data(), found.data(), kManyRows, cols, DType::f32}, order).ok());
    expect_near(found, y);
    ASSERT_TRUE(
        softmax_backward({y.data(), dy.data(), found.data(), kManyRows, cols, DType::f32}, order)
            .ok());
    expect_near(found, dx);
  }
}

TEST(SoftmaxOnSimt, PassesNanOnAndMakesZerosOfHiddenRows) {
  const float nan = std::nanf("");
  const float hidden = -INFINITY;
  const std::vector<float> x = {1, nan, 2, hidden, hidden, hidden, hidden, 0, hidden};
  std::vector<float> y(9);
  ASSERT_TRUE(softmax_forward({x.data(), y.data(), 3, 3, DType::f32}, SimtContext{}).ok());
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]) && std::isnan(y[2]));
  EXPECT_EQ(std::vector<float>(y.begin() + 3, y.end()), (std::vector<float>{0, 0, 0, 0, 1, 0}));
}

TEST(ReduceOnSimt, DoesSeveralRowsInABlockAndSeveralGrids) {
  struct Extents {
    std::int64_t outer, extent, inner;
  };
  // The last one has more outer extents than a grid has along y; ThreadSanitizer would take
  // minutes.
  std::vector<Extents> all = {{kManyRows, 5, 1}, {3, 0, 1}, {3, 0, 2}};
  if (!kRacesAreReported) {
    all.push_back({65537, 1, 2});
  }
  const TestContext cpu;
  for (const Extents& e : all) {
    const auto x = uniform_numbers<float>(e.outer * e.extent * e.inner, 3);
    std::vector<float> expected(static_cast<std::size_t>(e.outer * e.inner), NAN);
    std::vector<float> found = expected;
    const auto problem = [&](std::vector<float>& y) {
      return Reduce{ReduceOp::sum, x.data(), y.data(), e.outer, e.extent, e.inner, DType::f32};
    };
    ASSERT_TRUE(reduce(problem(expected), cpu.get()).ok());
    ASSERT_TRUE(reduce(problem(found), SimtContext{}).ok());
    expect_near(found, expected);
  }
}

TEST(LayerNormOnSimt, DoesWithoutTheArraysThatMayBeAbsent) {
  const std::int64_t rows = 67;
  const std::int64_t cols = 41;
  const auto x = uniform_numbers<float>(rows * cols, 4);
  const auto dy = uniform_numbers<float>(rows * cols, 5);
  std::vector<double> workspace(
      static_cast<std::size_t>(layer_norm_backward_workspace(rows, cols)));
  // y, dx, dweight, dbias of one context.
  const auto run = [&](const auto& context) {
    std::vector<float> y(x.size());
    std::vector<float> dx(x.size());
    std::vector<float> mean(67);
    std::vector<float> rstd(67);
    std::vector<float> dweight(41);
    std::vector<float> dbias(41);
    EXPECT_TRUE(layer_norm_forward({x.data(), nullptr, nullptr, y.data(), mean.data(), rstd.data(),
                                    rows, cols, cols, cols, 1e-5, DType::f32},
                                   context)
                    .ok());
    LayerNormBackward p{x.data(), nullptr, mean.data(), rstd.data(), dy.data(), dx.data(),
                        nullptr,  nullptr, nullptr,     rows,        cols,      DType::f32};
    EXPECT_TRUE(layer_norm_backward(p, context).ok());
    p.dx = nullptr;
    p.dweight = dweight.data();
    p.dbias = dbias.data();
    p.workspace = workspace.data();
    EXPECT_TRUE(layer_norm_backward(p, context).ok());
    return std::vector{y, dx, dweight, dbias};
  };
  const TestContext cpu;
  const auto expected = run(cpu.get());
  const auto found = run(SimtContext{});
  for (std::size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(i);
    expect_near(found[i], expected[i]);
  }
}

TEST(KernelsOnSimt, AnswerEmptyAndImpossibleRequests) {
  const SimtContext simt;
  float y = 5;
  const UnaryOp op = UnaryOp::exp;
  EXPECT_TRUE(unary_forward({op, &y, &y, 0, DType::f32}, simt).ok());
  EXPECT_TRUE(unary_backward({op, &y, &y, &y, &y, 0, DType::f32}, simt).ok());
  EXPECT_TRUE(softmax_forward({&y, &y, 0, 3, DType::f32}, simt).ok());
  EXPECT_TRUE(softmax_backward({&y, &y, &y, 0, 3, DType::f32}, simt).ok());
  EXPECT_TRUE(reduce({ReduceOp::sum, &y, &y, 0, 1, 1, DType::f32}, simt).ok());
  EXPECT_EQ(y, 5);

  const auto unsupported = Status::Code::unsupported;
  EXPECT_EQ(unary_forward({op, &y, &y, 1, DType::i64}, simt).code, unsupported);
  EXPECT_EQ(softmax_forward({&y, &y, 1, 1, DType::bf16}, simt).code, unsupported);
  EXPECT_EQ(reduce({ReduceOp::max, &y, &y, 1, 0, 1, DType::f32}, simt).code,
            Status::Code::invalid_argument);
  LayerNormForward norm{};
  norm.rows = 1;
  norm.dtype = DType::f32;
  EXPECT_EQ(layer_norm_forward(norm, simt).code, Status::Code::invalid_argument);
}

}  // namespace
}  // namespace basin::kernels

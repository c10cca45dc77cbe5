// Reductions on CUDA's side beyond the table: NaN and equals, axes in pieces, many arrays at once.
#include <cmath>
#include <limits>

#include "kernels/reduce/reduce.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(ReduceOnSimt, FindsTheFirstOfEqualsAndNanBeforeAll) {
  std::vector<std::vector<float>> rows(6, std::vector<float>(100, -kInfinity));
  rows[1][40] = rows[1][41] = rows[1][99] = 2;
  rows[2][63] = rows[2][31] = kNan;
  rows[2][5] = kInfinity;
  rows[3].assign(100, kNan);
  rows[4][99] = -1e30f;
  rows[5].assign(100, 0.5f);
  const std::vector<std::int64_t> expected = {0, 40, 31, 0, 99, 0};
  // As rows and, turned round, as columns.
  std::vector<float> x(600);
  std::vector<float> turned(600);
  for (std::size_t r = 0; r < 6; ++r) {
    for (std::size_t e = 0; e < 100; ++e) {
      x[r * 100 + e] = turned[e * 6 + r] = rows[r][e];
    }
  }
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    for (const bool columns : {false, true}) {
      Reduce p{ReduceOp::argmax, columns ? turned.data() : x.data(), nullptr, 6, 100, 1,
               DType::f32};
      if (columns) {
        p.outer = 1;
        p.inner = 6;
      }
      std::vector<std::int64_t> places(6, -1);
      p.y = places.data();
      ASSERT_TRUE(reduce(p, order).ok());
      EXPECT_EQ(places, expected);
      std::vector<float> largest(6);
      p.op = ReduceOp::max;
      p.y = largest.data();
      ASSERT_TRUE(reduce(p, order).ok());
      for (std::size_t r = 0; r < 6; ++r) {
        const float value = rows[r][static_cast<std::size_t>(expected[r])];
        EXPECT_TRUE(largest[r] == value || (std::isnan(largest[r]) && std::isnan(value))) << r;
      }
    }
  }
}

// A sum that makes few results is cut into pieces, if there is a place for them.
TEST(ReduceOnSimt, CutsLongSumsIntoPieces) {
  for (const Reduce& shape : {Reduce{ReduceOp::sum, nullptr, nullptr, 1, 50021, 1, DType::f32},
                              Reduce{ReduceOp::sum, nullptr, nullptr, 1, 1031, 40, DType::f32}}) {
    const auto x = whole_numbers<float>(shape.extent * shape.inner, 3, -9, 9);
    std::vector<float> expected(static_cast<std::size_t>(shape.inner));
    for (std::size_t i = 0; i < x.size(); ++i) {
      expected[i % expected.size()] += x[i];
    }
    LaunchCounts counts;
    SimtContext context;
    context.counts = &counts;
    Reduce p = shape;
    std::vector<float> y(expected.size());
    p.x = x.data();
    p.y = y.data();
    const std::int64_t bytes = reduce_workspace(p, context);
    ASSERT_GT(bytes, 0);
    ASSERT_TRUE(reduce(p, context).ok());
    EXPECT_EQ(y, expected);
    EXPECT_EQ(counts.launches, 1);
    const std::int64_t blocks = counts.blocks;
    counts = {};
    std::vector<double> workspace(static_cast<std::size_t>(bytes / 8), NAN);
    p.workspace = workspace.data();
    y.assign(y.size(), NAN);
    ASSERT_TRUE(reduce(p, context).ok());
    EXPECT_EQ(y, expected);
    EXPECT_EQ(counts.launches, 2);
    EXPECT_GT(counts.blocks, 4 * blocks);
  }
}

TEST(SumOfSquaresOnSimt, TakesManyArraysInFewLaunches) {
  constexpr std::size_t kArrays = 300;
  std::vector<std::vector<float>> arrays(kArrays);
  std::vector<NumberArray> list;
  std::int64_t partials = 0;
  double expected = 0;
  for (std::size_t n = 0; n < kArrays; ++n) {
    // Some are empty, some have several pieces.
    const std::int64_t count = n % 7 == 3 ? 0 : (n % 100 == 50 ? 40000 : 1 + 11 * (n % 13));
    arrays[n] = whole_numbers<float>(count, n, -5, 5);
    list.push_back({arrays[n].data(), count});
    partials += sum_of_squares_partials(count);
    for (const float x : arrays[n]) {
      expected += static_cast<double>(x) * static_cast<double>(x);
    }
  }
  std::vector<double> scratch(static_cast<std::size_t>(partials));
  const auto problem = [&](double& result) {
    return SumOfSquaresList{list.data(), kArrays, &result, scratch.data(), DType::f32};
  };
  double found = 0;
  const TestContext cpu;
  ASSERT_TRUE(sum_of_squares(problem(found), cpu.get()).ok());
  EXPECT_EQ(found, expected);
  for (SimtContext order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    LaunchCounts counts;
    order.counts = &counts;
    found = 0;
    ASSERT_TRUE(sum_of_squares(problem(found), order).ok());
    EXPECT_EQ(found, expected);
    EXPECT_EQ(counts.launches, 4);  // 128 arrays each, and the sum
  }
  list.clear();
  ASSERT_TRUE(
      sum_of_squares(SumOfSquaresList{nullptr, 0, &found, nullptr, DType::f32}, SimtContext{})
          .ok());
  EXPECT_EQ(found, 0);
}

}  // namespace
}  // namespace basin::kernels

// Embedding on CUDA's side beyond the table: ids outside, sorting over several tiles and passes.
#include <cmath>

#include "kernels/embedding/embedding.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

struct Problem {
  std::int64_t count, vocabulary, width;
};

std::vector<float> backward(const std::vector<std::int64_t>& ids, const std::vector<float>& dy,
                            const Problem& s, const SimtContext& context) {
  std::vector<float> dtable(static_cast<std::size_t>(s.vocabulary * s.width), NAN);
  EmbeddingBackward p{ids.data(),   dy.data(), dtable.data(), s.count,
                      s.vocabulary, s.width,   DType::f32};
  std::vector<double> workspace(
      static_cast<std::size_t>(embedding_backward_workspace(p, context) / 8 + 1), NAN);
  EXPECT_FALSE(embedding_backward(p, context).ok()) << "without a workspace";
  p.workspace = workspace.data();
  EXPECT_TRUE(embedding_backward(p, context).ok());
  return dtable;
}

TEST(EmbeddingOnSimt, MakesNanOfIdsOutsideAndCountsThemNowhere) {
  const Problem s{6, 3, 4};
  const std::vector<std::int64_t> ids = {2, -1, 0, 3, std::int64_t{1} << 40, 2};
  const std::vector<float> table = {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23};
  const std::vector<float> dy(24, 1);
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    std::vector<float> y(24, 5);
    ASSERT_TRUE(
        embedding_forward(
            {ids.data(), table.data(), y.data(), s.count, s.vocabulary, s.width, DType::f32}, order)
            .ok());
    for (std::size_t i = 0; i < 24; ++i) {
      const std::int64_t id = ids[i / 4];
      if (id < 0 || id > 2) {
        EXPECT_TRUE(std::isnan(y[i])) << i;
      } else {
        EXPECT_EQ(y[i], table[static_cast<std::size_t>(id) * 4 + i % 4]);
      }
    }
    EXPECT_EQ(backward(ids, dy, s, order),
              (std::vector<float>{1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2}));
  }
}

// More than a tile of 2048 ids and more than one pass of 8 bits; every tenth id is outside. Sums of
// whole numbers are exact, so no order of additions hides a row that went astray.
TEST(EmbeddingOnSimt, FindsEveryRowOfLargeTables) {
  for (const Problem& s : {Problem{5000, 255, 3}, Problem{5000, 256, 3}, Problem{4097, 70001, 2}}) {
    SCOPED_TRACE(s.vocabulary);
    auto ids = whole_numbers<std::int64_t>(s.count, 5, 0, static_cast<int>(s.vocabulary) - 1);
    const auto dy = whole_numbers<float>(s.count * s.width, 6, -50, 50);
    std::vector<float> expected(static_cast<std::size_t>(s.vocabulary * s.width));
    for (std::int64_t t = 0; t < s.count; ++t) {
      auto& id = ids[static_cast<std::size_t>(t)];
      id = t % 3 == 0 ? 7 : id;  // one of them very often
      if (t % 10 == 9) {
        id = t % 20 == 9 ? s.vocabulary : -1;
        continue;
      }
      for (std::int64_t c = 0; c < s.width; ++c) {
        expected[static_cast<std::size_t>(id * s.width + c)] +=
            dy[static_cast<std::size_t>(t * s.width + c)];
      }
    }
    SimtContext context;
    EXPECT_EQ(backward(ids, dy, s, context), expected);
    context.schedule = Schedule::random;
    EXPECT_EQ(backward(ids, dy, s, context), expected);
  }
}

TEST(EmbeddingOnSimt, WritesZerosWhereThereAreNoIds) {
  EXPECT_EQ(backward({}, {}, {0, 2, 3}, SimtContext{}), std::vector<float>(6, 0.0f));
}

}  // namespace
}  // namespace basin::kernels

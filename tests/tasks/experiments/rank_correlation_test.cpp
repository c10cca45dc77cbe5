#include "tasks/experiments/rank_correlation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"

namespace basin::experiments {
namespace {

using Numbers = std::vector<double>;

TEST(RankCorrelation, OfKnownOrders) {
  EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4}, {1, 10, 100, 1e6}), 1.0);
  EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4}, {9, 3, 2, -5}), -1.0);
  // 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 1, 1, 1, 1, 0.
  EXPECT_NEAR(rank_correlation({1, 2, 3, 4, 5}, {2, 1, 4, 3, 5}), 1 - 6.0 * 4 / 120, 1e-15);
  // Ties share a rank: 0.5, 0.5, 2 against 0, 1, 2.
  EXPECT_NEAR(rank_correlation({7, 7, 8}, {1, 2, 3}), 1.5 / std::sqrt(1.5 * 2), 1e-15);
  EXPECT_TRUE(std::isnan(rank_correlation({1, 1, 1}, {1, 2, 3})));
  EXPECT_TRUE(std::isnan(rank_correlation({1}, {1})));
  EXPECT_TRUE(test::refuses<Error>([] { rank_correlation({1, 2}, {1}); }, {"2", "1"}));
}

// Ten groups in perfect order leave no doubt; two groups of many runs leave all of it, although as
// independent runs they would look certain.
TEST(RankCorrelation, GroupsAreWhatIsDrawn) {
  Numbers x, y;
  std::vector<std::int64_t> group;
  for (int n = 0; n < 10; ++n) {
    x.insert(x.end(), 3, n);
    y.insert(y.end(), 3, 2 * n);
    group.insert(group.end(), 3, n);
  }
  const Correlation clear = grouped_rank_correlation(x, y, group);
  EXPECT_DOUBLE_EQ(clear.value, 1.0);
  EXPECT_DOUBLE_EQ(clear.interval.low, 1.0);

  const Correlation again = grouped_rank_correlation(x, y, group);
  EXPECT_EQ(again.interval.low, clear.interval.low) << "a function of its arguments";

  Numbers noise;
  for (int n = 0; n < 30; ++n) {
    noise.push_back((n * 7) % 11);
  }
  const Correlation none = grouped_rank_correlation(x, noise, group);
  EXPECT_TRUE(none.interval.low < 0 && none.interval.high > 0);
  EXPECT_TRUE(none.interval.low <= none.value && none.value <= none.interval.high);

  const Correlation two = grouped_rank_correlation(
      {0, 0, 0, 0, 1, 1, 1, 1}, {0, 0, 0, 0, 1, 1, 1, 1}, {0, 0, 0, 0, 1, 1, 1, 1});
  EXPECT_DOUBLE_EQ(two.value, 1.0);
  EXPECT_TRUE(std::isnan(two.interval.low)) << "half of the draws hold one group";
  EXPECT_TRUE(test::refuses<Error>(
      [] {
        grouped_rank_correlation({1, 2}, {1, 2}, {1});
      },
      {"2", "1"}));
}

}  // namespace
}  // namespace basin::experiments

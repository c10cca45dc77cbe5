// Mean, spread, interval and number as columns.
#include "tasks/experiments/estimate_columns.h"

#include <gtest/gtest.h>

namespace basin::experiments {
namespace {

TEST(EstimateColumns, TitlesAndCells) {
  std::vector<Column> columns = {{"patterns", "", 0}};
  add_estimate_columns(columns, "accuracy", "%", 2);
  ASSERT_EQ(columns.size(), 6U);
  EXPECT_EQ(columns[1].title, "accuracy, mean");
  EXPECT_EQ(columns[3].title, "accuracy, 95 % low");
  EXPECT_EQ(columns[4].unit, "%");
  std::vector<Cell> row = {std::int64_t{5}};
  add_estimate(row, {1.0, 3.0});
  ASSERT_EQ(row.size(), columns.size());
  EXPECT_EQ(std::get<double>(row[1]), 2.0);
  EXPECT_NEAR(std::get<double>(row[2]), 1.41421356, 1e-8);
  EXPECT_NEAR(std::get<double>(row[3]), 2.0 - 12.7062047, 1e-6);
  EXPECT_EQ(std::get<std::int64_t>(row[5]), 2);
}

TEST(EstimateColumns, FewValues) {
  std::vector<Cell> one;
  add_estimate(one, {0.5});
  EXPECT_EQ(std::get<double>(one[0]), 0.5);
  for (int n = 1; n < 4; ++n) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(one[static_cast<std::size_t>(n)]));
  }
  std::vector<Cell> none;
  add_estimate(none, {});
  ASSERT_EQ(none.size(), 5U);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(none[0]));
  EXPECT_EQ(std::get<std::int64_t>(none[4]), 0);
}

TEST(EstimateColumns, Proportions) {
  std::vector<Cell> row;
  add_proportion(row, 7, 10);
  EXPECT_DOUBLE_EQ(std::get<double>(row[0]), 70.0);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(row[1]));
  EXPECT_NEAR(std::get<double>(row[2]), 39.677814746, 1e-8);
  EXPECT_EQ(std::get<std::int64_t>(row[4]), 10);
}

TEST(EstimateColumns, Texts) {
  EXPECT_EQ(estimate_text(statistics::estimate({0.25, 0.75}), "%", 1), "0.5 [-2.7, 3.7] %, n = 2");
  EXPECT_EQ(estimate_text(statistics::estimate({0.25})), "0.2500, n = 1");
}

TEST(EstimateColumns, ChanceFlag) {
  EXPECT_EQ(std::get<std::string>(chance_flag({0.0, 0.0}, 0.5, true)), "below chance!");
  EXPECT_EQ(std::get<std::string>(chance_flag({0.4, 0.6}, 0.5, true)), "");
  EXPECT_EQ(std::get<std::string>(chance_flag({}, 0.5, true)), "");
}

}  // namespace
}  // namespace basin::experiments

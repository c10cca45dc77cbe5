// The verdicts on numbers made by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tasks/experiments/hopfield_from_scratch/attention_identity.h"
#include "tasks/experiments/hopfield_from_scratch/classical_capacity.h"
#include "tasks/experiments/hopfield_from_scratch/classical_retrieval.h"
#include "tasks/experiments/hopfield_from_scratch/energy_traces.h"
#include "tasks/experiments/hopfield_from_scratch/modern_capacity.h"
#include "tasks/experiments/hopfield_from_scratch/modern_retrieval.h"
#include "tasks/experiments/hopfield_from_scratch/more_steps_hurt.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"

namespace basin::experiments {
namespace {

constexpr auto kReproduced = Judgement::reproduced;
constexpr auto kContradicted = Judgement::contradicted;
constexpr auto kUndecided = Judgement::undecided;

std::vector<double> runs(std::size_t of_seven, std::size_t of_six) {
  std::vector<double> all(of_seven, 7.0);
  all.insert(all.end(), of_six, 6.0);
  return all;
}

TEST(Verdicts, SevenOfSeven) {
  EXPECT_EQ(judge_seven(runs(75, 25)).judgement, kReproduced);
  EXPECT_EQ(judge_seven(runs(0, 100)).judgement, kContradicted);
  EXPECT_EQ(judge_error_free(runs(75, 25)).judgement, kReproduced);
  EXPECT_EQ(judge_error_free(runs(25, 75)).judgement, kContradicted);
  EXPECT_EQ(judge_error_free(runs(50, 50)).judgement, kUndecided);
}

// Forty curves of three points: 0, +-1 in all ways but the first point, which never varies.
std::vector<std::vector<double>> curves() {
  std::vector<std::vector<double>> all;
  for (int n = 0; n < 40; ++n) {
    all.push_back({5.0, n % 2 == 0 ? 1.0 : -1.0, n % 4 < 2 ? 1.0 : -1.0});
  }
  return all;
}

TEST(Verdicts, ACurveAmongOurs) {
  EXPECT_EQ(test_curve(curves(), {5.0, 0.0, 0.0}).p, 1.0);
  EXPECT_NEAR(test_curve(curves(), {5.0, 3.0, 3.0}).p, 1.0 / 41, 1e-12);
  // Where nothing varies, another value is infinitely far.
  const CurveTest off = test_curve(curves(), {5.1, 0.0, 0.0});
  EXPECT_TRUE(std::isinf(off.statistic));
  EXPECT_NEAR(off.p, 1.0 / 41, 1e-12);
  EXPECT_TRUE(test::refuses<Error>([] { test_curve({{1.0}, {2.0}}, {1.0}); }, {"three"}));
  EXPECT_TRUE(test::refuses<Error>([] { test_curve(curves(), {1.0}); }, {"3 points"}));
}

TEST(Verdicts, DigitsOfAMean) {
  // Five queries of 100 units make multiples of 0.2, ten of them multiples of 0.1.
  EXPECT_TRUE(digits_allow({98.6, 73.4, 71.2}, 5, 1, 100));
  EXPECT_FALSE(digits_allow({98.6, 91.5}, 5, 1, 100));
  EXPECT_TRUE(digits_allow({98.6, 91.5, 83.7}, 5, 2, 100));
}

TEST(Verdicts, ANineFoldHundred) {
  EXPECT_EQ(judge_hundreds({{"all", 0.2, true}, {"one", 0.5, true}}).judgement, kReproduced);
  EXPECT_EQ(judge_hundreds({{"all", 0.01, true}, {"one", 0.5, true}}).judgement, kUndecided);
  EXPECT_EQ(judge_hundreds({{"all", 0.01, true}, {"one", 0.5, false}}).judgement, kContradicted);
  EXPECT_TRUE(test::refuses<Error>([] { judge_hundreds({}); }, {"reading"}));
}

TEST(Verdicts, ThresholdAndSmoothness) {
  EXPECT_EQ(judge_threshold(0.138, 0.135, 0.141, "").judgement, kReproduced);
  EXPECT_EQ(judge_threshold(0.10, 0.09, 0.11, "").judgement, kContradicted);
  EXPECT_EQ(judge_threshold(0.128, 0.12, 0.14, "").judgement, kUndecided);
  EXPECT_EQ(judge_smooth(0.1, 0.09, 0.11).judgement, kReproduced);
  EXPECT_EQ(judge_smooth(0.5, 0.4, 0.6).judgement, kContradicted);
  EXPECT_EQ(judge_smooth(0.2, 0.1, 0.3).judgement, kUndecided);
}

TEST(Verdicts, WhereACurveCrosses) {
  EXPECT_DOUBLE_EQ(crossing({1, 2, 4}, {100, 98, 90}, 94).value(), 3.0);
  EXPECT_DOUBLE_EQ(crossing({1, 2}, {95, 90}, 95).value(), 1.0);
  EXPECT_FALSE(crossing({1, 2}, {100, 96}, 95).has_value());
}

TEST(Verdicts, ModernRetrieval) {
  EXPECT_EQ(judge_ten(std::vector<double>(100, 10.0)).judgement, kReproduced);
  EXPECT_EQ(judge_ten(std::vector<double>(100, 9.0)).judgement, kContradicted);
  EXPECT_EQ(judge_exact(0.999, 0.998, 1.0).judgement, kReproduced);
  EXPECT_EQ(judge_exact(0.9, 0.89, 0.91).judgement, kContradicted);
  EXPECT_EQ(judge_exact(0.97, 0.96, 0.98).judgement, kUndecided);
}

std::vector<WidthCapacity> growth(double (*log_capacity)(double)) {
  std::vector<WidthCapacity> all;
  for (const double d : {8.0, 12.0, 16.0, 24.0, 32.0}) {
    const double y = log_capacity(d);
    all.push_back({d, {y - 0.1, y, y + 0.1}});
  }
  return all;
}

TEST(Verdicts, ExponentialOrAPower) {
  EXPECT_EQ(judge_exponential(growth([](double d) { return 0.3 * d - 2; }), "").judgement,
            kReproduced);
  EXPECT_EQ(judge_exponential(growth([](double d) { return 3 * std::log(d); }), "").judgement,
            kContradicted);
  EXPECT_EQ(judge_exponential(growth([](double d) { return -0.3 * d; }), "").judgement,
            kContradicted);
  EXPECT_EQ(judge_exponential({{8, {1}}, {16, {2}}, {32, {3}}}, "").judgement, kUndecided);
}

TEST(Verdicts, AHundredPercent) {
  EXPECT_EQ(judge_hundred_percent({5, 10}, {1000, 999}, {1000, 1000}).judgement, kReproduced);
  EXPECT_EQ(judge_hundred_percent({5, 10}, {1000, 900}, {1000, 1000}).judgement, kContradicted);
  EXPECT_EQ(judge_hundred_percent({5}, {49}, {50}).judgement, kUndecided);
  EXPECT_TRUE(test::refuses<Error>([] { judge_hundred_percent({5}, {}, {5}); }, {"counts"}));
}

TEST(Verdicts, Identity) {
  EXPECT_EQ(judge_identity(3, 5).judgement, kReproduced);
  EXPECT_EQ(judge_identity(3, 500).judgement, kUndecided);
  EXPECT_EQ(judge_identity(1e6, 5).judgement, kContradicted);
  EXPECT_EQ(judge_zero(1, 0, 1).judgement, kReproduced);
  EXPECT_EQ(judge_zero(0, 0, 1).judgement, Judgement::not_comparable);
  EXPECT_EQ(judge_zero(0.2, 0, 1).judgement, kUndecided);
}

TEST(Verdicts, TheCollapse) {
  EXPECT_EQ(judge_collapse({93, 94, 95}, {11, 12, 13}).judgement, kReproduced);
  EXPECT_EQ(judge_collapse({93, 94, 95}, {93, 94, 95}).judgement, kContradicted);
  EXPECT_EQ(judge_collapse({93, 94, 95}, {60, 61, 62}).judgement, kUndecided);
}

TEST(Verdicts, AboutANumber) {
  EXPECT_EQ(judge_about("", 94, {93, 94, 95}).judgement, kReproduced);
  EXPECT_EQ(judge_about("", 15, {11.2, 11.4, 11.6}).judgement, kContradicted);
  EXPECT_EQ(judge_about("", 15, {18.4, 18.6, 18.8}).judgement, kContradicted);
  EXPECT_EQ(judge_about("", 15, {10, 12, 14}).judgement, kUndecided);
}

TEST(Verdicts, Energies) {
  EXPECT_EQ(judge_promise({{"a", true, 5000, 0}, {"b", false, 10, 9}}).judgement, kReproduced);
  EXPECT_EQ(judge_promise({{"a", true, 5000, 1}}).judgement, kContradicted);
  EXPECT_EQ(judge_promise({{"a", true, 500, 0}}).judgement, kUndecided);
  EXPECT_EQ(judge_synchronous({{"b", false, 10, 1}}).judgement, kReproduced);
  EXPECT_EQ(judge_synchronous({{"b", false, 10, 0}, {"a", true, 9, 9}}).judgement, kUndecided);
}

}  // namespace
}  // namespace basin::experiments

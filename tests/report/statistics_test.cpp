// Estimates as words.
#include "tools/report/statistics.h"

#include <gtest/gtest.h>

namespace basin::report {
namespace {

TEST(EstimateTexts, MeanSpreadAndInterval) {
  const Estimate e = estimate({0.25, 0.75});
  EXPECT_EQ(mean_and_sd_text(e), "0.5000 ± 0.3536");
  EXPECT_EQ(interval_text(e), "[-2.6766, 3.6766]");
}

TEST(EstimateTexts, OneValueHasNoSpread) {
  EXPECT_EQ(mean_and_sd_text(estimate({0.5})), "0.5000");
  EXPECT_EQ(interval_text(estimate({0.5})), "-");
}

}  // namespace
}  // namespace basin::report

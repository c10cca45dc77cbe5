#include "nn/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace basin::nn {
namespace {

constexpr ScheduleKind kAll[] = {ScheduleKind::constant, ScheduleKind::linear,
                                 ScheduleKind::cosine};

Schedule make(ScheduleKind kind) {
  Schedule s;
  s.kind = kind;
  s.peak = 2.0;
  s.warmup_steps = 4;
  s.total_steps = 14;
  s.final_fraction = 0.25;
  return s;
}

// Rates are a handful of operations on numbers of size 1.
constexpr double kRounding = 1e-15;

TEST(Schedule, NamesAreReadBack) {
  for (const ScheduleKind kind : kAll) {
    ScheduleKind read =
        kind == ScheduleKind::cosine ? ScheduleKind::constant : ScheduleKind::cosine;
    EXPECT_TRUE(parse(name_of(kind), read));
    EXPECT_EQ(read, kind);
  }
  ScheduleKind untouched = ScheduleKind::constant;
  EXPECT_FALSE(parse("step", untouched));
  EXPECT_EQ(untouched, ScheduleKind::constant);
}

TEST(Schedule, AllRiseLinearlyToThePeak) {
  for (const ScheduleKind kind : kAll) {
    const Schedule s = make(kind);
    const double expected[] = {0.5, 1.0, 1.5, 2.0, 2.0};
    for (int step = 0; step < 5; ++step) {
      EXPECT_TRUE(std::abs(s.rate(step) - expected[step]) <= kRounding) << step;
    }
  }
}

TEST(Schedule, ConstantStays) {
  const Schedule s = make(ScheduleKind::constant);
  EXPECT_EQ(s.rate(4), 2.0);
  EXPECT_EQ(s.rate(13), 2.0);
  EXPECT_EQ(s.rate(100000), 2.0);
}

TEST(Schedule, CosineFallsToItsFinalFraction) {
  const Schedule s = make(ScheduleKind::cosine);
  // Halfway between the peak of 2 and the end of 0.5.
  EXPECT_TRUE(std::abs(s.rate(9) - 1.25) <= kRounding);
  // A quarter of the way from 2 down to 0.5.
  Schedule fine = s;
  fine.total_steps = 24;
  EXPECT_TRUE(std::abs(fine.rate(9) - (0.5 + 1.5 * 0.5 * (1 + std::sqrt(0.5)))) <= kRounding);
  EXPECT_TRUE(std::abs(s.rate(14) - 0.5) <= kRounding);
  EXPECT_TRUE(std::abs(s.rate(1000) - 0.5) <= kRounding);
  for (int step = 4; step < 14; ++step) {
    EXPECT_GT(s.rate(step), s.rate(step + 1)) << step;
  }
}

TEST(Schedule, LinearFallsToItsFinalFraction) {
  const Schedule s = make(ScheduleKind::linear);
  // From 2 down to 0.5 in ten steps.
  for (int step = 4; step <= 14; ++step) {
    EXPECT_TRUE(std::abs(s.rate(step) - (2.0 - 0.15 * (step - 4))) <= kRounding) << step;
  }
  EXPECT_TRUE(std::abs(s.rate(1000) - 0.5) <= kRounding);
}

TEST(Schedule, WithoutWarmUpStartsAtThePeak) {
  for (const ScheduleKind kind : kAll) {
    Schedule s = make(kind);
    s.warmup_steps = 0;
    EXPECT_EQ(s.rate(0), 2.0);
  }
}

TEST(Schedule, AWarmUpAsLongAsTheRunOrLongerHasNoSingularPoint) {
  for (const std::int64_t total : {std::int64_t{4}, std::int64_t{2}}) {
    for (const ScheduleKind kind : kAll) {
      Schedule s = make(kind);
      s.total_steps = total;
      EXPECT_EQ(s.rate(3), 2.0);
      for (int step = 4; step < 8; ++step) {
        EXPECT_TRUE(s.rate(step) >= 0.5 && s.rate(step) <= 2.0) << s.rate(step);
      }
    }
  }
}

}  // namespace
}  // namespace basin::nn

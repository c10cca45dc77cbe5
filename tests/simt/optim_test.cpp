// Optimizers on CUDA's side beyond the table: many arrays in few launches, and a norm that is not
// finite.
#include <cmath>
#include <limits>

#include "kernels/optim/adamw.h"
#include "kernels/optim/clip.h"
#include "kernels/optim/sgd.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr std::size_t kArrays = 150;

// Parameters, gradients and two moments of many arrays. Some are empty, some have several pieces,
// some begin where no pack can.
class ManyArrays {
 public:
  ManyArrays() {
    for (std::size_t n = 0; n < kArrays; ++n) {
      const std::int64_t count = n % 9 == 4 ? 0 : (n % 60 == 20 ? 9001 : 1 + 17 * (n % 5));
      counts_.push_back(count);
      for (std::size_t slot = 0; slot < 4; ++slot) {
        values_.push_back(uniform_numbers<float>(count + 1, 4 * n + slot, slot == 3 ? 0 : -1, 1));
      }
    }
  }
  float* at(std::size_t n, std::size_t slot) { return values_[4 * n + slot].data() + n % 2; }
  std::int64_t count(std::size_t n) const { return counts_[n]; }
  const std::vector<std::vector<float>>& values() const { return values_; }

  std::vector<AdamWArrays> for_adamw() {
    std::vector<AdamWArrays> all;
    for (std::size_t n = 0; n < kArrays; ++n) {
      all.push_back({at(n, 0), at(n, 1), at(n, 2), at(n, 3), count(n)});
    }
    return all;
  }
  std::vector<SgdArrays> for_sgd() {
    std::vector<SgdArrays> all;
    for (std::size_t n = 0; n < kArrays; ++n) {
      all.push_back({at(n, 0), at(n, 1), at(n, 2), count(n)});
    }
    return all;
  }

 private:
  std::vector<std::int64_t> counts_;
  std::vector<std::vector<float>> values_;
};

AdamW adamw_step(const double* scale, const std::int64_t* step) {
  AdamW p{};
  p.lr = 0.01;
  p.beta1 = 0.9;
  p.beta2 = 0.98;
  p.eps = 1e-8;
  p.weight_decay = 0.1;
  p.gradient_scale = 1;
  p.dtype = DType::f32;
  p.gradient_scale_pointer = scale;
  p.step_pointer = step;
  return p;
}

void expect_near(const ManyArrays& found, const ManyArrays& expected) {
  for (std::size_t i = 0; i < found.values().size(); ++i) {
    for (std::size_t k = 0; k < found.values()[i].size(); ++k) {
      ASSERT_NEAR(found.values()[i][k], expected.values()[i][k], 1e-6f) << i << " " << k;
    }
  }
}

TEST(AdamWOnSimt, TakesManyArraysInFewLaunches) {
  const double scale = 0.25;
  const std::int64_t step = 3;
  const TestContext cpu;
  ManyArrays expected;
  for (std::size_t n = 0; n < kArrays; ++n) {
    AdamW p = adamw_step(nullptr, nullptr);
    p.gradient_scale = scale;
    p.step = step;
    p.parameter = expected.at(n, 0);
    p.gradient = expected.at(n, 1);
    p.m = expected.at(n, 2);
    p.v = expected.at(n, 3);
    p.count = expected.count(n);
    ASSERT_TRUE(adamw(p, cpu.get()).ok());
  }
  ManyArrays on_cpu;
  ASSERT_TRUE(
      adamw(AdamWList{on_cpu.for_adamw().data(), kArrays, adamw_step(&scale, &step)}, cpu.get())
          .ok());
  EXPECT_EQ(on_cpu.values(), expected.values());
  for (SimtContext order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    LaunchCounts counts;
    order.counts = &counts;
    ManyArrays found;
    ASSERT_TRUE(
        adamw(AdamWList{found.for_adamw().data(), kArrays, adamw_step(&scale, &step)}, order).ok());
    EXPECT_EQ(counts.launches, 3);  // 133 arrays that are not empty, 64 in a launch
    expect_near(found, expected);
  }
}

TEST(SgdOnSimt, TakesManyArraysInFewLaunches) {
  const double scale = 0.25;
  const TestContext cpu;
  Sgd by{};
  by.lr = 0.1;
  by.momentum = 0.9;
  by.nesterov = true;
  by.weight_decay = 0.1;
  by.gradient_scale = 2;
  by.dtype = DType::f32;
  by.gradient_scale_pointer = &scale;
  ManyArrays expected;
  ASSERT_TRUE(sgd(SgdList{expected.for_sgd().data(), kArrays, by}, cpu.get()).ok());
  LaunchCounts counts;
  SimtContext context;
  context.counts = &counts;
  ManyArrays found;
  ASSERT_TRUE(sgd(SgdList{found.for_sgd().data(), kArrays, by}, context).ok());
  EXPECT_EQ(counts.launches, 3);
  expect_near(found, expected);
}

// Of each context: a norm that is not finite leaves everything as it was and does not count.
template <class Context>
void expect_nothing_changes(const Context& context) {
  for (const double squares :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN(), 400.0}) {
    SCOPED_TRACE(squares);
    double scale = 5;
    double norm = 5;
    std::int64_t steps = 6;
    ASSERT_TRUE(clip_scale({&squares, 1.0, &scale, &norm, &steps}, context).ok());
    const bool finite = std::isfinite(squares);
    EXPECT_EQ(std::isfinite(norm), finite);
    EXPECT_EQ(std::isfinite(scale), finite);
    EXPECT_EQ(steps, finite ? 7 : 6);
    ManyArrays found;
    const auto before = found.values();
    ASSERT_TRUE(
        adamw(AdamWList{found.for_adamw().data(), kArrays, adamw_step(&scale, &steps)}, context)
            .ok());
    EXPECT_EQ(found.values() == before, !finite);
    ManyArrays more;
    Sgd by{};
    by.lr = 0.1;
    by.gradient_scale = 1;
    by.dtype = DType::f32;
    by.gradient_scale_pointer = &scale;
    ASSERT_TRUE(sgd(SgdList{more.for_sgd().data(), kArrays, by}, context).ok());
    EXPECT_EQ(more.values() == before, !finite);
  }
}

TEST(OptimizersOnSimt, ChangeNothingWhereTheNormIsNotFinite) {
  expect_nothing_changes(SimtContext{});
  const TestContext cpu;
  expect_nothing_changes(cpu.get());
}

// Of each context: another number that is not finite stops a step as well, and what was queued
// behind one that stopped does nothing, until somebody allows it.
template <class Context>
void expect_halt(const Context& context) {
  const double squares = 4;
  double scale = 5;
  double norm = 5;
  std::int64_t steps = 6;
  std::int64_t halted = 0;
  double loss = 1;
  float loss_f32 = 1;
  ClipScale p{&squares, 1.0, &scale, &norm, &steps};
  p.watched = &loss;
  p.watched_dtype = DType::f64;
  p.halted = &halted;
  const auto expect = [&](bool changes, std::int64_t counted, const char* what) {
    SCOPED_TRACE(what);
    ASSERT_TRUE(clip_scale(p, context).ok());
    EXPECT_EQ(norm, 2);
    EXPECT_EQ(std::isfinite(scale), changes);
    EXPECT_EQ(halted, changes ? 0 : 1);
    EXPECT_EQ(steps, counted);
  };
  expect(true, 7, "finite");
  loss = std::numeric_limits<double>::infinity();
  expect(false, 7, "infinite loss");
  loss = 1;
  expect(false, 7, "behind it");
  halted = 0;
  expect(true, 8, "allowed again");
  p.watched = &loss_f32;
  p.watched_dtype = DType::f32;
  expect(true, 9, "f32");
  loss_f32 = std::numeric_limits<float>::quiet_NaN();
  expect(false, 9, "NaN in f32");
}

TEST(OptimizersOnSimt, StopBehindAStepThatWasNotFinite) {
  expect_halt(SimtContext{});
  const TestContext cpu;
  expect_halt(cpu.get());
}

TEST(OptimizersOnSimt, ReadTheRateFromMemory) {
  const double rate = 0.01;
  const double wrong = 5;
  const std::int64_t step = 3;
  std::vector<std::vector<float>> expected[2];
  for (const bool in_memory : {false, true}) {
    AdamW adam = adamw_step(nullptr, nullptr);
    Sgd by{};
    by.gradient_scale = 1;
    by.dtype = DType::f32;
    adam.lr = by.lr = in_memory ? wrong : rate;
    adam.lr_pointer = by.lr_pointer = in_memory ? &rate : nullptr;
    adam.step = 3;
    adam.step_pointer = in_memory ? &step : nullptr;
    ManyArrays of_adam;
    ManyArrays of_sgd;
    ASSERT_TRUE(adamw(AdamWList{of_adam.for_adamw().data(), kArrays, adam}, SimtContext{}).ok());
    ASSERT_TRUE(sgd(SgdList{of_sgd.for_sgd().data(), kArrays, by}, SimtContext{}).ok());
    if (!in_memory) {
      expected[0] = of_adam.values();
      expected[1] = of_sgd.values();
    }
    // The same powers and quotients, made by the same function here and there.
    EXPECT_EQ(of_adam.values(), expected[0]);
    EXPECT_EQ(of_sgd.values(), expected[1]);
  }
}

TEST(AdamWOnSimt, CountsStepsFromOne) {
  AdamW p = adamw_step(nullptr, nullptr);
  EXPECT_EQ(adamw(p, SimtContext{}).code, Status::Code::invalid_argument);
}

}  // namespace
}  // namespace basin::kernels

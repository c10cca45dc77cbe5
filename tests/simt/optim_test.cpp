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

TEST(AdamWOnSimt, CountsStepsFromOne) {
  AdamW p = adamw_step(nullptr, nullptr);
  EXPECT_EQ(adamw(p, SimtContext{}).code, Status::Code::invalid_argument);
}

}  // namespace
}  // namespace basin::kernels

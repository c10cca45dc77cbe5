// Losses on CUDA's side beyond the table: targets outside, in place, rows at every alignment.
#include <cmath>
#include <limits>

#include "kernels/loss/cross_entropy.h"
#include "kernels/loss/linear_cross_entropy.h"
#include "tests/kernels/support.h"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

constexpr std::int64_t kIgnore = -100;

TEST(CrossEntropyOnSimt, MakesNanOfTargetsOutside) {
  const std::int64_t rows = 5;
  const std::int64_t classes = 7;
  const auto logits = uniform_numbers<float>(rows * classes, 3);
  const std::vector<std::int64_t> targets = {0, 7, kIgnore, -1, 6};
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    std::vector<float> loss(5);
    std::vector<float> lse(5);
    ASSERT_TRUE(cross_entropy_forward({logits.data(), targets.data(), loss.data(), lse.data(), rows,
                                       classes, kIgnore, 0.1, DType::f32},
                                      order)
                    .ok());
    auto dlogits = logits;  // in place
    ASSERT_TRUE(cross_entropy_backward({dlogits.data(), targets.data(), lse.data(), dlogits.data(),
                                        rows, classes, kIgnore, 0.1, 1.0, DType::f32},
                                       order)
                    .ok());
    for (std::size_t r = 0; r < 5; ++r) {
      const bool outside = r == 1 || r == 3;
      EXPECT_EQ(std::isnan(loss[r]), outside) << r;
      EXPECT_EQ(std::isnan(lse[r]), outside) << r;
      float sum = 0;
      for (std::size_t c = 0; c < 7; ++c) {
        const float slope = dlogits[r * 7 + c];
        EXPECT_EQ(std::isnan(slope), outside);
        EXPECT_TRUE(r != 2 || slope == 0);
        sum += slope;
      }
      EXPECT_TRUE(outside || std::abs(sum) < 1e-6f) << r;
    }
    EXPECT_EQ(loss[2], 0);
  }
}

// Logits and gradient begin anywhere, together or not.
TEST(CrossEntropyOnSimt, ReadsRowsAtAnyElement) {
  const std::int64_t rows = 3;
  const std::int64_t classes = 37;
  const auto numbers = uniform_numbers<float>(200, 3, -3, 3);
  const std::vector<std::int64_t> targets = {36, 0, 5};
  const TestContext cpu;
  for (std::size_t first = 0; first < 4; ++first) {
    for (std::size_t to = 0; to < 4; ++to) {
      std::vector<std::vector<float>> found;
      const auto run = [&](const auto& context) {
        std::vector<float> loss(3);
        std::vector<float> lse(3);
        std::vector<float> dlogits(200, 9);
        const float* const logits = numbers.data() + first;
        EXPECT_TRUE(cross_entropy_forward({logits, targets.data(), loss.data(), lse.data(), rows,
                                           classes, kIgnore, 0.0, DType::f32},
                                          context)
                        .ok());
        EXPECT_TRUE(cross_entropy_backward({logits, targets.data(), lse.data(), dlogits.data() + to,
                                            rows, classes, kIgnore, 0.0, 0.5, DType::f32},
                                           context)
                        .ok());
        loss.insert(loss.end(), dlogits.begin(), dlogits.end());
        return loss;
      };
      const auto expected = run(cpu.get());
      const auto on_simt = run(SimtContext{});
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_TRUE(std::abs(on_simt[i] - expected[i]) <= 1e-6f * (1 + std::abs(expected[i])))
            << first << " " << to << " " << i;
      }
    }
  }
}

TEST(CrossEntropyOnSimt, LetsHiddenClassesBe) {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  std::vector<float> logits(70, kHidden);
  logits[69] = 2;
  logits[3] = 2;
  const std::vector<std::int64_t> targets = {3};
  float loss = 0;
  float lse = 0;
  ASSERT_TRUE(cross_entropy_forward(
                  {logits.data(), targets.data(), &loss, &lse, 1, 70, kIgnore, 0.0, DType::f32},
                  SimtContext{})
                  .ok());
  EXPECT_NEAR(loss, std::log(2.0f), 1e-6f);
}

LinearCrossEntropy linear_call(const std::vector<double>& in,
                               const std::vector<std::int64_t>& targets, std::vector<double>& out) {
  LinearCrossEntropy p{};
  p.x = in.data();
  p.weight = in.data() + 20;
  p.targets = targets.data();
  p.row_loss = out.data();
  p.dx = out.data() + 5;
  p.dweight = out.data() + 25;
  p.dbias = out.data() + 37;
  p.rows = static_cast<std::int64_t>(targets.size());
  p.width = 4;
  p.classes = 3;
  p.ignore_index = kIgnore;
  p.scale = 1;
  p.dtype = DType::f64;
  return p;
}

TEST(LinearCrossEntropyOnSimt, MakesNanOfATargetOutsideAndLeavesOtherRowsAlone) {
  const auto in = uniform_numbers<double>(32, 3);
  std::vector<double> out(40, 7);
  const std::vector<std::int64_t> targets = {0, 3, 2, kIgnore, 1};
  LinearCrossEntropy p = linear_call(in, targets, out);
  std::vector<double> scratch(
      static_cast<std::size_t>(linear_cross_entropy_workspace(p, SimtContext{}) / 8 + 1));
  p.workspace = scratch.data();
  ASSERT_TRUE(linear_cross_entropy(p, SimtContext{}).ok());
  for (std::size_t r = 0; r < 5; ++r) {
    EXPECT_EQ(std::isnan(out[r]), r == 1);
    for (std::size_t c = 0; c < 4; ++c) {
      EXPECT_EQ(std::isnan(out[5 + 4 * r + c]), r == 1);
    }
  }
  for (std::size_t i = 25; i < 40; ++i) {
    EXPECT_TRUE(std::isnan(out[i])) << i;
  }
}

TEST(LinearCrossEntropyOnSimt, WritesZerosWhereThereAreNoRows) {
  const auto in = uniform_numbers<double>(32, 3);
  for (const std::vector<std::int64_t>& targets :
       {std::vector<std::int64_t>{}, std::vector<std::int64_t>(5, kIgnore)}) {
    std::vector<double> out(40, 7);
    LinearCrossEntropy p = linear_call(in, targets, out);
    std::vector<double> scratch(
        static_cast<std::size_t>(linear_cross_entropy_workspace(p, SimtContext{}) / 8 + 1));
    p.workspace = scratch.data();
    ASSERT_TRUE(linear_cross_entropy(p, SimtContext{}).ok());
    EXPECT_EQ(std::vector<double>(out.begin() + 25, out.end()), std::vector<double>(15, 0.0));
  }
}

}  // namespace
}  // namespace basin::kernels

// The kernels that measure a device do what they count, and write nothing else.
#include "kernels/ceilings/ceilings.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/common/thread_pool.h"

namespace basin::kernels {
namespace {

class Ceilings : public testing::Test {
 protected:
  Ceilings() {
    context_.pool = &pool_;
    context_.counts = &counts_;
  }
  ThreadPool pool_{2};
  LaunchCounts counts_;
  SimtContext context_;
};

TEST_F(Ceilings, CountWhatEveryThreadDoes) {
  float sink = 7;
  double fmas = 0;
  ASSERT_TRUE(fma_ceiling({&sink, 2, DType::f32, &fmas}, context_).ok());
  const double threads = static_cast<double>(counts_.threads);
  EXPECT_EQ(fmas,
            threads * 2 * (2 * 8 * 16));  // repeats * operations of an FMA * chains * unrolled
  double exps = 0;
  ASSERT_TRUE(exp_ceiling({&sink, 3, DType::f32, &exps}, context_).ok());
  EXPECT_EQ(exps, threads * 3 * 8);
  EXPECT_EQ(sink, 7);
}

TEST_F(Ceilings, TensorCoresCountPerWarp) {
  float sink = 7;
  double operations = 0;
  ASSERT_TRUE(tensor_ceiling({&sink, 1, &operations}, context_).ok());
  EXPECT_EQ(operations, static_cast<double>(counts_.threads) / 32 * 8 * (2 * 16 * 8 * 16));
  EXPECT_EQ(sink, 7);
}

TEST_F(Ceilings, CopyCopiesAllAndNoMore) {
  alignas(16) std::vector<std::uint32_t> x(4 * 1000);
  alignas(16) std::vector<std::uint32_t> y(x.size() + 4, 9);
  std::iota(x.begin(), x.end(), 1u);
  ASSERT_TRUE(copy_ceiling({x.data(), y.data(), 16000}, context_).ok());
  EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin()));
  EXPECT_EQ(y[x.size()], 9u);
  EXPECT_FALSE(copy_ceiling({x.data(), y.data(), 17}, context_).ok());
}

}  // namespace
}  // namespace basin::kernels

#include <gtest/gtest.h>
#include <vector>
#include "kernels/common/launch.h"
namespace basin::kernels {
namespace {
void rotate(const int* x, int* y) {
  int* s = shared<int, 256>();
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s[(threadIdx.x + 1) % blockDim.x];
  (void)__shfl_xor_sync(kAllLanes, 1.0f, 1);
}
TEST(Barrier, Works) {
  std::vector<int> x(256), y(256);
  for (int i = 0; i < 256; ++i) x[i] = i;
  for (Schedule s : {Schedule::forward, Schedule::reversed, Schedule::random}) {
    const Status status = launch({"rotate", {3, 1, 1}, {256, 1, 1}}, SimtContext{.schedule = s},
                                 rotate, x.data(), y.data());
    ASSERT_TRUE(status.ok()) << status.message;
    for (int i = 0; i < 256; ++i) ASSERT_EQ(y[i], (i + 1) % 256);
  }
}
}  // namespace
}  // namespace basin::kernels

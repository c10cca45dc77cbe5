// Shared memory, copies in the background, atomics.
#include <cmath>

#include "kernels/common/ptx.cuh"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

struct First;
struct Second;

void shared_kernel(float* before, int* apart) {
  float* const a = shared<float, 16, First>();
  float* const b = shared<float, 16, Second>();
  float* const c = dynamic_shared<float>();
  if (threadIdx.x == 0) {
    before[0] = a[3] + b[3];
    before[1] = c[7];
    const auto far = [](const float* p, const float* q) { return p + 16 <= q || q + 16 <= p; };
    *apart = far(a, b) && far(a, c) && far(b, c) ? 1 : 0;
    a[3] = b[3] = c[7] = 1;
  }
}

TEST(SharedMemory, BeginsAsNanInEveryBlockAndDoesNotOverlap) {
  for (int round = 0; round < 2; ++round) {
    float before[2] = {};
    int apart = 0;
    const Status status = launch({"test", {1, 1, 1}, {32, 1, 1}, 64}, SimtContext{}, shared_kernel,
                                 &before[0], &apart);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_TRUE(std::isnan(before[0]));
    EXPECT_TRUE(std::isnan(before[1]));
    EXPECT_EQ(apart, 1);
  }
}

// Two stages: the next four floats are under way while the ones before are used.
void pipeline(const float* x, float* y, int steps, bool wait) {
  float* const stage = dynamic_shared<float>();
  copy_async<16>(stage, x);
  copy_async_commit();
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) {
      copy_async<16>(stage + (step + 1) % 2 * 4, x + (step + 1) * 4);
    }
    copy_async_commit();
    if (wait) {
      copy_async_wait<1>();
    }
    for (int i = 0; i < 4; ++i) {
      y[step * 4 + i] = stage[step % 2 * 4 + i];
    }
  }
}

TEST(AsyncCopy, ArrivesWhenItIsWaitedForAndIsNanBefore) {
  alignas(16) float x[20];
  for (int i = 0; i < 20; ++i) {
    x[i] = static_cast<float>(i);
  }
  for (const bool wait : {true, false}) {
    float y[20] = {};
    const Status status =
        launch({"test", {1, 1, 1}, {1, 1, 1}, 32}, SimtContext{}, pipeline, &x[0], &y[0], 5, wait);
    ASSERT_TRUE(status.ok()) << status.message;
    for (int i = 0; i < 20; ++i) {
      if (wait) {
        EXPECT_EQ(y[i], x[i]);
      } else {
        EXPECT_TRUE(std::isnan(y[i]));
      }
    }
  }
}

void partial_copies(const float* x, float* y) {
  float* const s = dynamic_shared<float>();
  copy_async<16>(s, x, 12);
  copy_async<8>(s + 4, x, 0);
  copy_async<4>(s + 6, x + 1);
  copy_async_commit();
  copy_async_wait<0>();
  for (int i = 0; i < 7; ++i) {
    y[i] = s[i];
  }
}

TEST(AsyncCopy, SetsWhatIsNotReadToZero) {
  alignas(16) const float x[4] = {1, 2, 3, 4};
  float y[7] = {};
  const Status status =
      launch({"test", {1, 1, 1}, {1, 1, 1}, 28}, SimtContext{}, partial_copies, &x[0], &y[0]);
  ASSERT_TRUE(status.ok()) << status.message;
  const float expected[7] = {1, 2, 3, 0, 0, 0, 2};
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(y[i], expected[i]) << i;
  }
}

struct Totals {
  float f = 0;
  double d = 0;
  int i = 0;
  unsigned u = 0;
  unsigned long long l = 0;
  int largest = -1000;
  int smallest = 1000;
  unsigned winner = 0;
  int locked = 0;
};

void atomics(Totals* t) {
  const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(&t->f, 0.5f);
  atomicAdd(&t->d, 0.25);
  atomicAdd(&t->i, -1);
  atomicAdd(&t->u, 2u);
  atomicAdd(&t->l, 1ULL << 33);
  atomicMax(&t->largest, static_cast<int>(thread) - 50);
  atomicMin(&t->smallest, static_cast<int>(thread) - 50);
  if (atomicCAS(&t->winner, 0u, thread + 1) == 0) {
    atomicExch(&t->locked, 1);
  }
}

TEST(Atomics, CountEveryThreadOfEveryBlock) {
  ThreadPool pool(2);
  for (SimtContext order : all_orders()) {
    order.pool = &pool;
    Totals t;
    const Status status = launch({"test", {64, 1, 1}, {128, 1, 1}}, order, atomics, &t);
    ASSERT_TRUE(status.ok()) << status.message;
    EXPECT_EQ(t.f, 4096.0f);
    EXPECT_EQ(t.d, 2048.0);
    EXPECT_EQ(t.i, -8192);
    EXPECT_EQ(t.u, 16384u);
    EXPECT_EQ(t.l, 8192ULL << 33);
    EXPECT_EQ(t.largest, 8191 - 50);
    EXPECT_EQ(t.smallest, -50);
    EXPECT_NE(t.winner, 0u);
    EXPECT_EQ(t.locked, 1);
  }
}

}  // namespace
}  // namespace basin::kernels

// Barriers of a block, shared memory behind them, and the order of turns.
#include <algorithm>
#include <numeric>

#include "kernels/common/ptx.cuh"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

void rotate(const int* x, int* y) {
  int* const s = shared<int, 1024>();
  for (unsigned round = 0; round < 3; ++round) {
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[(threadIdx.x + 1) % blockDim.x];
    __syncthreads();
  }
}

TEST(BlockBarrier, LetsEveryThreadSeeWhatTheOthersWrote) {
  for (const unsigned threads : {1u, 2u, 31u, 32u, 33u, 64u, 65u, 127u, 1000u, 1024u}) {
    for (const SimtContext& order : all_orders()) {
      SCOPED_TRACE(std::to_string(threads) + " threads, " + order_name(order));
      std::vector<int> x(threads);
      std::vector<int> y(threads);
      std::iota(x.begin(), x.end(), 0);
      run_block(threads, order, rotate, x.data(), y.data());
      std::rotate(x.begin(), x.begin() + 1, x.end());
      EXPECT_EQ(x, y);
    }
  }
}

void rotate_without_barrier(const int* x, int* y) {
  int* const s = shared<int, 64>();
  s[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = s[(threadIdx.x + 63) % 64];
}

// Reading what the lower neighbour wrote goes well in forward order, but for the first thread.
TEST(BlockBarrier, MissingShowsInAnotherOrder) {
  if (kRacesAreReported) {
    GTEST_SKIP() << "a planted race";
  }
  std::vector<int> x(64, 7);
  const auto wrong = [&](const SimtContext& order) {
    std::vector<int> y(64);
    run_block(64, order, rotate_without_barrier, x.data(), y.data());
    return 64 - std::count(y.begin(), y.end(), 7);
  };
  const std::vector<SimtContext> orders = all_orders();
  EXPECT_EQ(wrong(orders[0]), 1);
  EXPECT_EQ(wrong(orders[1]), 63);
  EXPECT_GT(wrong(orders[2]), 10);
  EXPECT_LT(wrong(orders[2]), 54);
}

void note_turns(int* order, int* next) {
  order[atomicAdd(next, 1)] = static_cast<int>(threadIdx.x);
}

TEST(Turns, ComeInTheOrderOfTheSchedule) {
  const auto turns = [](const SimtContext& context) {
    std::vector<int> order(100);
    int next = 0;
    run_block(100, context, note_turns, order.data(), &next);
    return order;
  };
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  const std::vector<SimtContext> orders = all_orders();
  EXPECT_EQ(turns(orders[0]), expected);
  EXPECT_EQ(turns(orders[2]), turns(orders[2]));
  EXPECT_NE(turns(orders[2]), turns(orders[3]));
  EXPECT_TRUE(std::is_permutation(expected.begin(), expected.end(), turns(orders[2]).begin()));
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(turns(orders[1]), expected);
}

// Warp 0 produces for warp 1, which gives the buffer back: two named barriers, arrive and sync.
void produce_and_consume(int* y, int rounds) {
  int* const buffer = shared<int, 32>();
  const unsigned lane = threadIdx.x % 32;
  for (int round = 0; round < rounds; ++round) {
    if (threadIdx.x < 32) {
      if (round > 0) {
        named_barrier_sync(2, 64);
      }
      buffer[lane] = round * 100 + static_cast<int>(lane);
      named_barrier_arrive(1, 64);
    } else {
      named_barrier_sync(1, 64);
      y[static_cast<unsigned>(round) * 32 + lane] = buffer[31 - lane];
      if (round + 1 < rounds) {
        named_barrier_arrive(2, 64);
      }
    }
  }
}

TEST(NamedBarrier, PassesABufferBetweenTwoWarps) {
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    std::vector<int> y(5 * 32);
    run_block(64, order, produce_and_consume, y.data(), 5);
    for (int i = 0; i < 5 * 32; ++i) {
      EXPECT_EQ(y[static_cast<std::size_t>(i)], i / 32 * 100 + 31 - i % 32) << i;
    }
  }
}

void note_place(int* y) {
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  y[block * blockDim.x * blockDim.y * blockDim.z + thread] += static_cast<int>(thread + 1);
}

TEST(Grid, RunsEveryThreadOfEveryBlockOnce) {
  ThreadPool pool(2);
  for (SimtContext order : all_orders()) {
    for (ThreadPool* const with : {static_cast<ThreadPool*>(nullptr), &pool}) {
      order.pool = with;
      LaunchCounts counts;
      order.counts = &counts;
      std::vector<int> y(7 * 3 * 2 * 60);
      const Status status = launch({"test", {7, 3, 2}, {5, 4, 3}}, order, note_place, y.data());
      ASSERT_TRUE(status.ok()) << status.message;
      for (std::size_t i = 0; i < y.size(); ++i) {
        ASSERT_EQ(y[i], static_cast<int>(i % 60) + 1) << i;
      }
      EXPECT_EQ(counts.launches, 1);
      EXPECT_EQ(counts.blocks, 42);
      EXPECT_EQ(counts.threads, 42 * 60);
    }
  }
}

TEST(Counts, AreThoseOfTheKernel) {
  LaunchCounts counts;
  SimtContext context;
  context.counts = &counts;
  std::vector<int> x(64);
  run_block(64, context, rotate, x.data(), x.data());
  EXPECT_EQ(counts.block_barriers, 6);
  EXPECT_EQ(counts.warp_collectives, 0);
  EXPECT_EQ(counts.shared_bytes, 4096);
  // In forward order each barrier costs a turn of every thread, and so does the end.
  EXPECT_EQ(counts.switches, 7 * 64 - 1);
}

}  // namespace
}  // namespace basin::kernels

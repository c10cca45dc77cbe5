// Kernels that break a rule are stopped, and the message names kernel, block, thread and line.
#include "kernels/common/pack.cuh"
#include "kernels/common/ptx.cuh"
#include "tests/simt/support.h"

namespace basin::kernels {
namespace {

std::string at(unsigned line) { return "fault_test.cpp:" + std::to_string(line); }

constexpr unsigned kBarrierLine = __LINE__ + 4;
void exits_before_barrier() {
  if (threadIdx.x == 5) return;

  __syncthreads();
}

TEST(Fault, BarrierThatOneThreadDoesNotReach) {
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    expect_fault({"kernel 'faulty': block (0,0,0): __syncthreads is divergent", at(kBarrierLine),
                  "thread (5,0,0) has exited"},
                 64, order, exits_before_barrier);
  }
}

constexpr unsigned kTwoLines = __LINE__ + 3;
void two_barriers() {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(Fault, BarriersInTwoBranches) {
  expect_fault({"__syncthreads is divergent: thread (0,0,0) waits at", at(kTwoLines),
                "thread (1,0,0) at", at(kTwoLines + 2)},
               64, {}, two_barriers);
}

constexpr unsigned kShuffleLine = __LINE__ + 3;
void shuffle_after_exit(int* y) {
  if (threadIdx.x >= 40) return;
  y[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1, 1);
}

TEST(Fault, ShuffleWithALaneThatHasExited) {
  std::vector<int> y(64);
  for (const SimtContext& order : all_orders()) {
    SCOPED_TRACE(order_name(order));
    expect_fault({"__shfl_xor_sync at", at(kShuffleLine), "mask 0xffffffff", "has exited"}, 64,
                 order, shuffle_after_exit, y.data());
  }
  expect_fault(
      {"thread (32,0,0) waits for lane 8 of mask 0xffffffff, but thread (40,0,0) has exited"}, 64,
      {}, shuffle_after_exit, y.data());
}

void shuffle_all(int* y) { y[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1, 1); }

TEST(Fault, ShuffleInAWarpWithTooFewThreads) {
  std::vector<int> y(40);
  expect_fault({"thread (32,0,0) names lane 8 in mask 0xffffffff, but its warp has only 8 threads"},
               40, {}, shuffle_all, y.data());
}

void shuffle_with(unsigned mask, int source, int width) { __shfl_sync(mask, 1, source, width); }
void shuffle_up_by(int distance) {
  if (threadIdx.x < 2) __shfl_sync(0x3u, 1, distance);
}

TEST(Fault, ShuffleWithWrongArguments) {
  expect_fault({"the mask 0xfffffffe leaves out lane 0, which calls it"}, 32, {}, shuffle_with,
               0xFFFFFFFEu, 0, 32);
  expect_fault({"width 3 in thread (0,0,0); it must be 1, 2, 4"}, 32, {}, shuffle_with, kAllLanes,
               0, 3);
  expect_fault({"reads lane 7, which is not in the mask 0x00000003"}, 32, {}, shuffle_up_by, 7);
}

constexpr unsigned kMixedLine = __LINE__ + 3;
void mixed_collectives() {
  if (threadIdx.x == 0) {
    __syncwarp();
  } else {
    __ballot_sync(kAllLanes, 1);
  }
}

TEST(Fault, LanesThatMeetInDifferentCollectives) {
  expect_fault({"__ballot_sync at", at(kMixedLine + 2), "thread (1,0,0) with mask 0xffffffff waits",
                "thread (0,0,0), which waits for it at __syncwarp", at(kMixedLine)},
               32, {}, mixed_collectives);
}

constexpr unsigned kDeadlockLine = __LINE__ + 3;
void deadlock() {
  if (threadIdx.x < 32) {
    named_barrier_sync(3, 64);
  } else {
    __syncthreads();
  }
}

TEST(Fault, Deadlock) {
  expect_fault(
      {"deadlock: nobody can go on; thread (0,0,0) and 31 more wait at bar.sync", at(kDeadlockLine),
       "thread (32,0,0) and 31 more wait at __syncthreads", at(kDeadlockLine + 2)},
      64, {}, deadlock);
}

void named(int id, int threads) { named_barrier_sync(id, threads); }
void two_counts() { named_barrier_sync(1, threadIdx.x < 32 ? 64 : 32); }

TEST(Fault, NamedBarrierWithWrongArguments) {
  expect_fault({"barrier 16 of 32 threads; there are barriers 1 to 15"}, 32, {}, named, 16, 32);
  expect_fault({"barrier 0 of 32 threads"}, 32, {}, named, 0, 32);
  expect_fault({"barrier 1 of 33 threads", "multiple of 32 up to the 64 threads"}, 64, {}, named, 1,
               33);
  expect_fault({"barrier 1 of 96 threads"}, 64, {}, named, 1, 96);
  expect_fault({"thread (32,0,0) expects 32 threads at barrier 1, the first one", "expected 64"},
               64, {}, two_counts);
}

constexpr unsigned kSharedLine = __LINE__ + 2;
void too_much_shared() {
  shared<char, 200000>()[0] = 1;
  shared<char, 50000>()[0] = 1;
}

void static_and_dynamic() {
  dynamic_shared<char>()[0] = 1;
  shared<char, 256>()[0] = 1;
}

void large_static_and_dynamic() {
  dynamic_shared<char>()[0] = 1;
  shared<char, 16385>()[0] = 1;
}

void same_array_twice() {
  float* const a = shared<float, 8>();
  float* const b = shared<float, 8>();
  a[0] = b[0];
}

TEST(Fault, SharedMemory) {
  expect_fault({"thread (0,0,0): shared memory: 50000 bytes asked for at", at(kSharedLine + 1),
                "on top of 200000 (0 of them dynamic), but a block has 232448"},
               32, {}, too_much_shared);
  SimtContext small;
  small.shared_limit = 1000;
  expect_fault(
      {"200000 bytes asked for at", "on top of 0 (0 of them dynamic), but a block has 1000"}, 32,
      small, too_much_shared);
  // A GPU begins the dynamic part at a multiple of 1024.
  const LaunchShape both{"both", {1, 1, 1}, {32, 1, 1}, kSharedBytesOfHopper - 1024};
  EXPECT_TRUE(launch(both, SimtContext{}, static_and_dynamic).ok());
  LaunchShape more = both;
  more.shared_bytes += 16;
  EXPECT_NE(std::string(launch(more, SimtContext{}, static_and_dynamic).message)
                .find("256 bytes asked for at"),
            std::string::npos);
  // Up to 32 KiB launch() asks for nothing, and static arrays have what is left of 48.
  more.shared_bytes = 32 * 1024;
  EXPECT_TRUE(launch(more, SimtContext{}, static_and_dynamic).ok());
  EXPECT_NE(
      std::string(launch(more, SimtContext{}, large_static_and_dynamic).message).find("has 49152"),
      std::string::npos);
  more.shared_bytes += 16;
  EXPECT_TRUE(launch(more, SimtContext{}, large_static_and_dynamic).ok());
  expect_fault({"two places ask for the same shared array", "give one of them a tag"}, 32, {},
               same_array_twice);
  const Status status = launch({"big", {1, 1, 1}, {32, 1, 1}, 300000}, SimtContext{}, deadlock);
  EXPECT_STREQ(
      status.message,
      "kernel 'big': shared memory: 300000 dynamic bytes asked for, but a block has 232448");
}

void copy_by(int offset, int valid) {
  alignas(16) static const float source[8] = {};
  copy_async<16>(dynamic_shared<float>() + offset, source, valid);
}

TEST(Fault, AsyncCopy) {
  expect_fault({"cp.async at", "thread (0,0,0): source and target must be aligned to the 16 bytes"},
               32, {}, copy_by, 1, 16);
  expect_fault({"reads 17 of 16 bytes"}, 32, {}, copy_by, 0, 17);
}

void load_four(const float* x, int offset, float* y) { *y = load_pack<4>(x + offset).at[3]; }

TEST(Fault, PackAtAnAddressThatIsNoMultipleOfIt) {
  alignas(16) const float x[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  float y = 0;
  run_block(1, {}, load_four, x, 4, &y);
  EXPECT_EQ(y, 7);
  expect_fault({"pack.cuh", "thread (0,0,0) moves 16 bytes at once"}, 32, {}, load_four, x, 3, &y);
}

template <int W>
void load_from_static(float* y) {
  float* const x = shared<float, 8>();
  x[0] = 3;
  *y = load_pack<W>(x).at[0];
}

TEST(Fault, PackOfASharedArrayThatIsWiderThanItsAlignment) {
  float y = 0;
  run_block(1, {}, load_from_static<4>, &y);
  EXPECT_EQ(y, 3);
  expect_fault({"pack.cuh", "thread (0,0,0) moves 32 bytes at once"}, 1, {}, load_from_static<8>,
               &y);
}

void nothing() {}

TEST(Fault, LaunchThatNoGpuTakes) {
  const auto message = [](Index3 blocks, Index3 threads) {
    return std::string(launch({"huge", blocks, threads}, SimtContext{}, nothing).message);
  };
  EXPECT_EQ(
      message({1, 1, 1}, {1025, 1, 1}),
      "kernel 'huge': blocks of (1025,1,1) threads; a block has 1 to 1024, at most 64 along z");
  EXPECT_NE(message({1, 1, 1}, {1, 0, 1}).find("blocks of (1,0,1)"), std::string::npos);
  EXPECT_NE(message({1, 1, 1}, {1024, 1024, 64}).find("blocks of"), std::string::npos);
  EXPECT_NE(message({1, 65536, 1}, {1, 1, 1}).find("a grid of (1,65536,1)"), std::string::npos);
  EXPECT_NE(message({0, 1, 1}, {1, 1, 1}).find("a grid of (0,1,1)"), std::string::npos);
}

void only_block_three(int* ran) {
  if (blockIdx.x == 3 || blockIdx.x == 9) {
    exits_before_barrier();
  }
  atomicAdd(ran, 1);
}

TEST(Fault, NamesTheFirstBlockForAnyNumberOfThreads) {
  ThreadPool pool(2);
  for (ThreadPool* const with : {static_cast<ThreadPool*>(nullptr), &pool}) {
    SimtContext context;
    context.pool = with;
    int ran = 0;
    const Status status = launch({"k", {20, 1, 1}, {1024, 1, 1}}, context, only_block_three, &ran);
    EXPECT_NE(std::string(status.message).find("block (3,0,0)"), std::string::npos)
        << status.message;
    EXPECT_GE(ran, 3 * 1024);
  }
}

// After a fault the same stacks serve the next launch.
TEST(Fault, LeavesTheExecutorUsable) {
  std::vector<int> y(64);
  for (int round = 0; round < 3; ++round) {
    expect_fault({"divergent"}, 64, {}, exits_before_barrier);
    run_block(64, {}, shuffle_all, y.data());
    EXPECT_EQ(y, std::vector<int>(64, 1));
  }
}

}  // namespace
}  // namespace basin::kernels

// The counts of accesses against kernels that can be counted by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "kernels/common/thread_pool.h"
#include "kernels/simt/counting/access_counter.h"
#include "kernels/table/case_arrays.h"
#include "kernels/table/kernel_table.h"
#include "tests/counting/counting_kernels.h"

namespace basin::kernels {
namespace {

using simt::AccessCounter;
using simt::KernelAccesses;

// Sectors are counted from multiples of 32 bytes.
template <class T>
struct alignas(64) Numbers {
  T v[4096] = {};
};

template <class T, class F>
KernelAccesses counted(F&& run) {
  auto x = std::make_unique<Numbers<T>>();
  auto y = std::make_unique<Numbers<T>>();
  AccessCounter counter;
  counter.watch(x->v, sizeof x->v);
  counter.watch(y->v, sizeof y->v);
  const Status status = run(x->v, y->v);
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(counter.kernels().size(), 1u);
  return counter.kernels().at("counted");
}

TEST(Counting, TheProgramHasHooks) { EXPECT_TRUE(simt::counts_accesses()); }

TEST(Counting, NeighboursShareSectors) {
  const auto a =
      counted<float>([](float* x, float* y) { return counting::read_strided(x, y, 64, 1, 0); });
  EXPECT_EQ(a.launches, 1);
  EXPECT_EQ(a.blocks, 1);
  EXPECT_EQ(a.threads, 64);
  EXPECT_EQ(a.reads.instructions, 2);  // of two warps
  EXPECT_EQ(a.reads.requested, 256);
  EXPECT_EQ(a.reads.distinct, 256);
  EXPECT_EQ(a.reads.sectors, 8);
  EXPECT_EQ(a.reads.efficiency(), 1.0);
  EXPECT_EQ(a.writes.instructions, 2);
  EXPECT_EQ(a.writes.sectors, 8);
  ASSERT_EQ(a.of_arrays.size(), 2u);
  EXPECT_EQ(a.of_arrays[0][0], 8);
  EXPECT_EQ(a.of_arrays[0][1], 0);
  EXPECT_EQ(a.of_arrays[1][0], 0);
  EXPECT_EQ(a.of_arrays[1][1], 8);
  EXPECT_EQ(a.barriers, 0);
  EXPECT_EQ(a.shared_reads.instructions + a.shared_writes.instructions, 0);
}

TEST(Counting, StridesAndOffsetsCostSectors) {
  struct Case {
    int stride, offset;
    std::int64_t sectors;
  };
  for (const Case& c : {Case{2, 0, 8}, Case{8, 0, 32}, Case{32, 0, 32}, Case{1, 1, 5},
                        Case{1, 8, 4}, Case{0, 3, 1}}) {
    SCOPED_TRACE(std::to_string(c.stride) + " " + std::to_string(c.offset));
    const auto a = counted<float>(
        [&](float* x, float* y) { return counting::read_strided(x, y, 32, c.stride, c.offset); });
    EXPECT_EQ(a.reads.requested, 128);
    EXPECT_EQ(a.reads.sectors, c.sectors);
    EXPECT_EQ(a.writes.sectors, 4);
  }
}

TEST(Counting, WiderAccessesAndOneForAll) {
  const auto packs =
      counted<float>([](float* x, float* y) { return counting::read_packs(x, y, 32); });
  EXPECT_EQ(packs.reads.requested, 512);
  EXPECT_EQ(packs.reads.sectors, 16);
  const auto doubles =
      counted<double>([](double* x, double* y) { return counting::read_doubles(x, y, 32); });
  EXPECT_EQ(doubles.reads.instructions, 1);
  EXPECT_EQ(doubles.reads.requested, 256);
  EXPECT_EQ(doubles.reads.sectors, 8);
  const auto one = counted<float>([](float* x, float* y) { return counting::read_one(x, y, 32); });
  EXPECT_EQ(one.reads.requested, 128);
  EXPECT_EQ(one.reads.distinct, 4);
  EXPECT_EQ(one.reads.sectors, 1);
}

TEST(Counting, LoopsAndIdleLanes) {
  const auto loop =
      counted<float>([](float* x, float* y) { return counting::read_in_a_loop(x, y, 3); });
  EXPECT_EQ(loop.reads.instructions, 4);  // the last one by the odd lanes
  EXPECT_EQ(loop.reads.requested, 3 * 128 + 16 * 4);
  EXPECT_EQ(loop.reads.sectors, 4 * 4);
  const auto some =
      counted<float>([](float* x, float* y) { return counting::read_by_some(x, y, 9); });
  EXPECT_EQ(some.reads.instructions, 1);
  EXPECT_EQ(some.reads.requested, 36);
  EXPECT_EQ(some.reads.sectors, 2);
}

TEST(Counting, BanksOfSharedMemory) {
  for (const int stride : {1, 2, 4, 8, 16, 32, 33, 3}) {
    SCOPED_TRACE(stride);
    const int ways = stride % 2 == 1 ? 1 : stride;
    const auto a =
        counted<float>([&](float*, float* y) { return counting::share_strided(y, stride); });
    EXPECT_EQ(a.barriers, 1);
    EXPECT_EQ(a.shared_writes.instructions, 1);
    EXPECT_EQ(a.shared_writes.bytes, 128);
    EXPECT_EQ(a.shared_writes.passes, ways);
    EXPECT_EQ(a.shared_writes.fewest, 1);
    EXPECT_EQ(a.shared_reads.passes, ways);
    EXPECT_EQ(a.shared_reads.ways(), ways);
    EXPECT_EQ(a.writes.sectors, 4);
  }
  // All lanes read one word.
  const auto same = counted<float>([](float*, float* y) { return counting::share_strided(y, 0); });
  EXPECT_EQ(same.shared_reads.passes, 1);
}

TEST(Counting, WideSharedAccessesTakeSeveralPassesButNoConflicts) {
  const auto doubles =
      counted<double>([](double*, double* y) { return counting::share_doubles(y); });
  EXPECT_EQ(doubles.shared_reads.passes, 2);
  EXPECT_EQ(doubles.shared_reads.fewest, 2);
  const auto packs = counted<float>([](float*, float* y) { return counting::share_packs(y); });
  EXPECT_EQ(packs.shared_reads.bytes, 512);
  EXPECT_EQ(packs.shared_reads.passes, packs.shared_reads.fewest);
}

TEST(Counting, AtomicsAndBackgroundCopies) {
  const auto atomics = counted<std::int64_t>([](std::int64_t*, std::int64_t* y) {
    const Status status = counting::add_atomically(y, 40);
    EXPECT_EQ(*y, 40);
    return status;
  });
  EXPECT_EQ(atomics.atomics, 40);
  const auto whole =
      counted<float>([](float* x, float* y) { return counting::copy_async_packs(x, y, 16); });
  EXPECT_EQ(whole.async_bytes, 512);
  EXPECT_EQ(whole.reads.sectors, 16);
  EXPECT_EQ(whole.shared_writes.bytes, 512);
  EXPECT_EQ(whole.shared_writes.passes, 4);
  const auto part =
      counted<float>([](float* x, float* y) { return counting::copy_async_packs(x, y, 4); });
  EXPECT_EQ(part.async_bytes, 128);
  EXPECT_EQ(part.reads.requested, 128);
  EXPECT_EQ(part.shared_writes.bytes, 512);
}

// What is not watched is not global memory: parameters, registers, other people's arrays.
TEST(Counting, OnlyWatchedArraysCount) {
  auto x = std::make_unique<Numbers<float>>();
  auto y = std::make_unique<Numbers<float>>();
  AccessCounter counter;
  counter.watch(x->v, sizeof x->v);
  ASSERT_TRUE(counting::read_strided(x->v, y->v, 32, 1, 0).ok());
  EXPECT_EQ(counter.kernels().at("counted").reads.sectors, 4);
  EXPECT_EQ(counter.kernels().at("counted").writes.instructions, 0);
}

// What the one kernel of a variant does.
KernelAccesses accesses_of(const std::string& name, Sizes changed, DType dtype, int variant) {
  ThreadPool pool(1);
  const CpuContext cpu{&pool};
  const auto& table = kernel_table();
  const auto entry = std::find_if(table.begin(), table.end(),
                                  [&](const KernelEntry& e) { return e.name == name; });
  EXPECT_NE(entry, table.end()) << name;
  Sizes sizes = standard_sizes(entry->sized.parameters);
  for (const auto& [size, value] : changed) {
    sizes[size] = value;
  }
  const KernelCase problem = sized_case(*entry, sizes, cpu);
  CaseArrays arrays(problem, dtype, cpu);
  AccessCounter counter;
  for (std::size_t n = 0; n < problem.buffers.size(); ++n) {
    counter.watch(arrays.data()[n], static_cast<std::size_t>(arrays.elements(n)) *
                                        size_of(arrays.dtype_of_buffer(n)));
  }
  const Status status = problem.run_simt(arrays.data(), dtype, variant, SimtContext{});
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(counter.kernels().size(), 1u);
  return counter.kernels().begin()->second;
}

// A rung of the ladder reads less than the one below it.
TEST(Counting, TheLadderOfGemmReadsLessAndLess) {
  std::vector<std::int64_t> sectors;
  for (const int variant : {1, 2, 3}) {
    const KernelAccesses a =
        accesses_of("gemm", {{"m", 64}, {"n", 64}, {"k", 64}}, DType::f32, variant);
    sectors.push_back(a.reads.sectors);
    if (variant > 1) {
      EXPECT_EQ(a.reads.efficiency(), 1.0);
    }
    EXPECT_EQ(a.writes.requested, 64 * 64 * 4);
    EXPECT_EQ(a.writes.efficiency(), 1.0);
  }
  EXPECT_GT(sectors[0], 4 * sectors[1]);
  EXPECT_GT(sectors[1], 2 * sectors[2]);
  EXPECT_GE(sectors[2], 2 * 64 * 64 * 4 / 32);  // both matrices once
}

TEST(Counting, TheLadderOfAttentionMovesLessAndLess) {
  const Sizes sizes = {{"B", 1}, {"H", 1}, {"L", 64}, {"D", 64}, {"causal", 0}};
  const KernelAccesses threads = accesses_of("attention_forward", sizes, DType::f32, 1);
  const KernelAccesses tiles = accesses_of("attention_forward", sizes, DType::f32, 2);
  const KernelAccesses in_turn = accesses_of("tensor_attention_forward", sizes, DType::bf16, 1);
  const KernelAccesses pipelined = accesses_of("tensor_attention_forward", sizes, DType::bf16, 2);
  EXPECT_GT(threads.reads.sectors, 50 * tiles.reads.sectors);
  EXPECT_GT(threads.writes.sectors, 50 * tiles.writes.sectors);
  EXPECT_EQ(threads.shared_reads.bytes, 0);
  EXPECT_GT(tiles.reads.sectors, 3 * in_turn.reads.sectors / 2);  // half of the bytes
  EXPECT_GT(tiles.shared_reads.passes, 4 * in_turn.shared_reads.passes);
  // The same tiles, at another time.
  EXPECT_EQ(pipelined.reads.sectors, in_turn.reads.sectors);
  EXPECT_EQ(pipelined.shared_reads.passes, in_turn.shared_reads.passes);
  // f32 on tensor cores: as many bytes as the loop reads from memory, twice those of bf16 from
  // shared memory, without conflicts.
  for (const char* kernel : {"tf32_attention_forward", "split_attention_forward"}) {
    const KernelAccesses a = accesses_of(kernel, sizes, DType::f32, 1);
    EXPECT_EQ(a.reads.sectors, tiles.reads.sectors);
    EXPECT_LE(a.writes.sectors, tiles.writes.sectors);
    EXPECT_LE(a.shared_reads.passes, 5 * in_turn.shared_reads.passes / 2);
  }
}

// What a random mask by tile drops costs nothing: in the tiled loops the reads of shared memory are
// the products, and the written sectors are whole. In f32, and in bf16 on tensor cores.
TEST(Counting, TilesOfRetrievalCostWhatTheMaskKeeps) {
  ThreadPool pool(1);
  const CpuContext cpu{&pool};
  const auto& table = kernel_table();
  for (const bool half : {false, true}) {
    for (const bool forward : {true, false}) {
      const DType dtype = half ? DType::bf16 : DType::f32;
      const std::string family = half ? "retrieval_tensor_" : "retrieval_";
      const std::string name = family + (forward ? "forward" : "backward");
      SCOPED_TRACE(name);
      const auto entry = std::find_if(table.begin(), table.end(),
                                      [&](const KernelEntry& e) { return e.name == name; });
      ASSERT_NE(entry, table.end());
      std::vector<double> read;  // by all launches
      for (const std::int64_t keep : {100, 10}) {
        Sizes sizes = standard_sizes(entry->sized.parameters);
        sizes["B"] = sizes["H"] = 1;
        sizes["L"] = sizes["M"] = 640;
        sizes["D"] = 32;
        sizes["grain"] = 1;  // tile
        sizes["keep"] = keep;
        if (!half) {
          sizes["separation"] = 3;  // softmax
        }
        const KernelCase problem = sized_case(*entry, sizes, cpu);
        CaseArrays arrays(problem, dtype, cpu);
        AccessCounter counter;
        for (std::size_t n = 0; n < problem.buffers.size(); ++n) {
          counter.watch(arrays.data()[n], static_cast<std::size_t>(arrays.elements(n)) *
                                              size_of(arrays.dtype_of_buffer(n)));
        }
        const Status status = problem.run_simt(arrays.data(), dtype, 3, SimtContext{});
        ASSERT_TRUE(status.ok()) << status.message;
        double bytes = 0;
        for (const auto& [kernel, a] : counter.kernels()) {
          bytes += static_cast<double>(a.shared_reads.bytes);
        }
        read.push_back(bytes);
        const auto written = [&](const std::string& kernel, std::size_t buffer) {
          return counter.kernels()
              .at((half ? "retrieval_tensor_" : "retrieval_tiles_") + kernel)
              .of_arrays[buffer][1];
        };
        const std::int64_t once = 640 * 32 * (half ? 2 : 4) / 32;  // sectors of a result
        const bool in_parts = keep == 100;                         // 640 keys are cut, 64 are not
        if (forward) {
          EXPECT_EQ(written(in_parts ? "combine" : "forward", 5), once);
          continue;
        }
        EXPECT_EQ(written(in_parts ? "backward_sum" : "backward_queries", 9), once);
        if (keep == 100) {  // else a block adds up what groups of queries give
          EXPECT_EQ(written("backward_keys", 10), once);
          EXPECT_EQ(written("backward_keys", 11), once);
        }
      }
      EXPECT_LE(read[1], 0.25 * read[0]);
    }
  }
}

}  // namespace
}  // namespace basin::kernels

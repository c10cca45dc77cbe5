// Every chunk once, on whatever thread, and an end to every call.
#include "kernels/common/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace basin::kernels {
namespace {

TEST(ThreadPool, RunsEveryChunkOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::int64_t chunks : {0, 1, 2, 3, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(chunks));
      pool.run(chunks, [&](std::int64_t chunk) { ++calls[static_cast<std::size_t>(chunk)]; });
      for (const auto& count : calls) {
        EXPECT_EQ(count.load(), 1);
      }
    }
    pool.run(-1, [](std::int64_t) { ADD_FAILURE() << "a negative number of chunks"; });
  }
}

TEST(ThreadPool, GivesThreadsThatWorkAtOnceDifferentIndices) {
  constexpr int threads = 4;
  ThreadPool pool(threads);
  std::vector<std::atomic<int>> busy(threads);
  std::atomic<int> wrong{0};
  pool.run(2000, [&](std::int64_t) {
    const int index = ThreadPool::thread_index();
    if (index < 0 || index >= threads || busy[static_cast<std::size_t>(index)]++ != 0) {
      ++wrong;
      return;
    }
    std::this_thread::yield();
    --busy[static_cast<std::size_t>(index)];
  });
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(ThreadPool::thread_index(), 0) << "the calling thread";
}

// Two chunks that wait for each other end only if two threads work.
TEST(ThreadPool, WorksOnSeveralThreads) {
  ThreadPool pool(2);
  std::atomic<int> arrived{0};
  pool.run(2, [&](std::int64_t) {
    ++arrived;
    while (arrived.load() < 2) {
      std::this_thread::yield();
    }
  });
  EXPECT_EQ(arrived.load(), 2);
}

TEST(ThreadPool, RunsNestedCallsOnTheThreadTheyComeFrom) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> calls(20 * 30);
    std::atomic<int> moved{0};
    pool.run(20, [&](std::int64_t outer) {
      const auto thread = std::this_thread::get_id();
      std::int64_t expected = 0;
      pool.run(30, [&](std::int64_t inner) {
        moved += std::this_thread::get_id() != thread || inner != expected ? 1 : 0;
        ++expected;
        ++calls[static_cast<std::size_t>(outer * 30 + inner)];
      });
      moved += expected != 30 ? 1 : 0;
    });
    // With one thread there is no pool to be inside of, so the order is the only claim; it holds
    // too.
    EXPECT_EQ(moved.load(), 0);
    for (const auto& count : calls) {
      EXPECT_EQ(count.load(), 1);
    }
  }
}

// A worker that wakes late must not touch the next loop's chunks or miss its own.
TEST(ThreadPool, SurvivesManySmallRuns) {
  ThreadPool pool(3);
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < 20000; ++i) {
    std::atomic<std::int64_t> sum{0};
    const std::int64_t chunks = 1 + i % 4;
    pool.run(chunks, [&](std::int64_t chunk) { sum += chunk + 1; });
    ASSERT_EQ(sum.load(), chunks * (chunks + 1) / 2) << i;
    total += sum.load();
  }
  EXPECT_EQ(total, 5000 * (1 + 3 + 6 + 10));
}

TEST(ThreadPool, ServesSeveralCallersOneAfterTheOther) {
  ThreadPool pool(2);
  std::vector<std::thread> callers;
  std::vector<std::int64_t> sums(4);
  for (std::size_t caller = 0; caller < sums.size(); ++caller) {
    callers.emplace_back([&pool, &sum = sums[caller]] {
      for (int i = 0; i < 500; ++i) {
        std::atomic<std::int64_t> here{0};
        pool.run(5, [&](std::int64_t chunk) {
          std::this_thread::yield();  // lets another caller in, if anything does
          here += chunk;
        });
        sum += here.load();
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  for (const std::int64_t sum : sums) {
    EXPECT_EQ(sum, 500 * 10);
  }
}

TEST(ThreadPool, StartsAndStopsWithoutWork) {
  for (int i = 0; i < 200; ++i) {
    const ThreadPool pool(1 + i % 3);
    EXPECT_GE(pool.threads(), 1);
  }
}

// The property on which equal bits for any number of threads rest.
TEST(ForRanges, CutsAtTheSamePlacesForAnyNumberOfThreads) {
  const auto pieces = [](int threads, std::int64_t count, std::int64_t grain) {
    ThreadPool pool(threads);
    std::mutex mutex;
    std::set<std::pair<std::int64_t, std::int64_t>> found;
    for_ranges(CpuContext{&pool}, count, grain, [&](std::int64_t begin, std::int64_t end) {
      const std::lock_guard<std::mutex> lock(mutex);
      found.emplace(begin, end);
    });
    return found;
  };
  for (const std::int64_t count : {1, 9, 10, 11, 95}) {
    const auto one = pieces(1, count, 10);
    EXPECT_EQ(one, pieces(3, count, 10));
    std::int64_t at = 0;
    for (const auto& [begin, end] : one) {
      EXPECT_EQ(begin, at);
      EXPECT_GT(end, begin);
      EXPECT_LE(end - begin, 10);
      at = end;
    }
    EXPECT_EQ(at, count);
  }
  EXPECT_TRUE(pieces(2, 0, 10).empty());
  EXPECT_TRUE(pieces(2, -5, 10).empty());
}

}  // namespace
}  // namespace basin::kernels

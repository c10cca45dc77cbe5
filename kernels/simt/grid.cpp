#include "kernels/simt/grid.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>
#include <string>

#include "kernels/common/philox.h"
#include "kernels/simt/block.h"
#include "kernels/simt/memory_guard.h"
#include "kernels/simt/messages.h"
#include "kernels/simt/observer.h"
#include "kernels/simt/recording.h"

namespace basin::kernels::simt {

namespace {

std::atomic<std::int64_t> begun{0};

Status fault(const Grid& grid, const std::string& what) {
  return {Status::Code::kernel_fault, kept_text(std::string("kernel '") + grid.name + "': " + what),
          -1};
}

void add(LaunchCounts& total, const LaunchCounts& more) {
  total.launches += more.launches;
  total.blocks += more.blocks;
  total.threads += more.threads;
  total.switches += more.switches;
  total.block_barriers += more.block_barriers;
  total.warp_collectives += more.warp_collectives;
  total.async_copies += more.async_copies;
  total.shared_bytes = std::max(total.shared_bytes, more.shared_bytes);
}

// What CUDA would not launch.
std::string refused(const Grid& grid, const SimtContext& context) {
  const Index3& t = grid.threads;
  const Index3& b = grid.blocks;
  if (t.x < 1 || t.y < 1 || t.z < 1 || t.x > 1024 || t.y > 1024 || t.z > 64 ||
      t.x * t.y * t.z > kMostThreads) {
    return "blocks of " + index_text(t) + " threads; a block has 1 to 1024, at most 64 along z";
  }
  if (b.x < 1 || b.y < 1 || b.z < 1 || b.x > 0x7FFFFFFFu || b.y > 65535 || b.z > 65535) {
    return "a grid of " + index_text(b) +
           " blocks; it has at least 1 along each axis, at most 65535 along y and z";
  }
  if (context.shared_limit > kSharedBytesOfHopper) {
    return "a limit of " + std::to_string(context.shared_limit) +
           " bytes of shared memory; the executor has " + std::to_string(kSharedBytesOfHopper);
  }
  if (grid.shared_bytes > context.shared_limit) {
    return "shared memory: " + std::to_string(grid.shared_bytes) +
           " dynamic bytes asked for, but a block has " + std::to_string(context.shared_limit);
  }
  return "";
}

// The numbers 0 ... blocks - 1 in another order: turn -> step * turn + first, with a step that
// shares no factor with their count.
class BlockOrder {
 public:
  BlockOrder(std::int64_t blocks, std::uint64_t seed) : count_(static_cast<std::uint64_t>(blocks)) {
    const std::uint64_t key = derive_key(seed, 0x626C6F636BULL);
    first_ = key % count_;
    step_ = 1 + (key >> 32) % std::min<std::uint64_t>(count_, kMostBlocks);
    while (std::gcd(step_, count_) != 1) {
      ++step_;
    }
    if (count_ > kMostBlocks) {
      step_ = 1;  // the product could overflow
    }
  }
  std::int64_t at(std::int64_t turn) const {
    const std::uint64_t product = step_ * static_cast<std::uint64_t>(turn) % count_;
    return static_cast<std::int64_t>((product + first_) % count_);
  }

 private:
  static constexpr std::uint64_t kMostBlocks = std::uint64_t{1} << 31;
  std::uint64_t count_;
  std::uint64_t first_;
  std::uint64_t step_;
};

}  // namespace

MemoryGuard g_memory_guard = nullptr;

std::int64_t launches() { return begun.load(std::memory_order_relaxed); }
void count_launch() { begun.fetch_add(1, std::memory_order_relaxed); }

Status run_grid(const Grid& grid, const SimtContext& context, const KernelCall& kernel) {
  if (const std::string why = refused(grid, context); !why.empty()) {
    return fault(grid, why);
  }
  if (Recording* const into = recording()) {
    into->add(grid, kernel);
    return {};
  }
  const OpenMemory open;
  count_launch();
  const std::int64_t blocks =
      static_cast<std::int64_t>(grid.blocks.x) * grid.blocks.y * grid.blocks.z;
  if (g_observer != nullptr) {
    g_observer->begin_launch(grid);
  }
  std::mutex mutex;
  LaunchCounts counts;
  counts.launches = 1;
  std::string error;
  std::int64_t error_turn = blocks;  // of the failed block that comes first

  // Blocks come in the order of the schedule, too. Chunks of blocks begin in that order, so the
  // failed block that comes first is the same for any number of threads.
  const BlockOrder random(blocks, context.seed);
  const auto block_at = [&](std::int64_t turn) {
    switch (context.schedule) {
      case Schedule::reversed: return blocks - 1 - turn;
      case Schedule::random: return random.at(turn);
      default: return turn;
    }
  };
  const auto run_blocks = [&](std::int64_t begin, std::int64_t end) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (error_turn < begin) {
        return;
      }
    }
    Block& block = Block::of_this_thread();
    LaunchCounts here;
    for (std::int64_t turn = begin; turn < end; ++turn) {
      const std::string problem = block.run(grid, context, kernel, block_at(turn));
      add(here, block.counts());
      if (!problem.empty()) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (turn < error_turn) {
          error_turn = turn;
          error = problem;
        }
        break;
      }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    add(counts, here);
  };
  if (context.pool == nullptr || g_observer != nullptr) {
    run_blocks(0, blocks);
  } else {
    // At least some thousand threads a chunk, so that handing it out costs little.
    const auto threads = std::int64_t{grid.threads.x} * grid.threads.y * grid.threads.z;
    for_ranges(CpuContext{context.pool}, blocks, std::max<std::int64_t>(1, 2048 / threads),
               run_blocks);
  }
  if (context.counts != nullptr) {
    add(*context.counts, counts);
  }
  return error.empty() ? Status{} : fault(grid, error);
}

}  // namespace basin::kernels::simt

// Turns, the start and the end of threads, and barriers of the block. Warps are in warp.cpp.
#include "kernels/simt/block.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <vector>

#include "kernels/common/philox.h"
#include "kernels/simt/messages.h"
#include "kernels/simt/observer.h"

namespace basin::kernels::simt {

constinit thread_local Index3 threadIdx{};
constinit thread_local Index3 blockIdx{};
constinit thread_local Index3 blockDim{};
constinit thread_local Index3 gridDim{};

namespace {

Index3 unfold(std::int64_t linear, const Index3& extent) {
  const auto at = static_cast<std::uint64_t>(linear);
  const std::uint64_t plane = std::uint64_t{extent.x} * extent.y;
  return {static_cast<unsigned>(at % extent.x), static_cast<unsigned>(at % plane / extent.x),
          static_cast<unsigned>(at / plane)};
}

}  // namespace

Observer* g_observer = nullptr;

bool in_shared_memory(const void* data, std::size_t bytes) {
  return Block::of_this_thread().in_shared_memory(data, bytes);
}

constinit thread_local Block* Block::running_here = nullptr;

Block& Block::make_here() {
  static thread_local std::unique_ptr<Block> block = std::make_unique<Block>();
  running_here = block.get();
  return *block;
}

bool Block::prepare(const Grid& grid, const SimtContext& context, std::int64_t index) {
  count_ = static_cast<int>(grid.threads.x * grid.threads.y * grid.threads.z);
  for (; mapped_ < count_; ++mapped_) {
    if (!thread(mapped_).fiber.map_stack(static_cast<unsigned>(mapped_ % 16))) {
      return false;
    }
  }
  schedule_ = context.schedule;
  random_ = derive_key(context.seed, static_cast<std::uint64_t>(index));
  std::fill(std::begin(ready_), std::end(ready_), 0);
  exited_ = 0;
  first_exited_ = -1;
  at_barrier_ = 0;
  for (NamedBarrier& barrier : named_) {
    barrier.expected = 0;
    barrier.arrived = 0;
    std::fill(std::begin(barrier.waiting), std::end(barrier.waiting), 0);
  }
  for (int warp = 0; warp * kWarp < count_; ++warp) {
    warps_[warp].meeting_count = 0;
    warps_[warp].exited = 0;
  }
  shared_.begin_block(grid.shared_bytes, context.shared_limit);
  for (int i = 0; i < count_; ++i) {
    Thread& t = thread(i);
    t.index = unfold(i, grid.threads);
    t.waits_at = nullptr;
    if (t.copies != nullptr) {
      t.copies->count = t.copies->committed = t.copies->group_count = 0;
    }
    t.fiber.start(thread_main, this);
    ready_[i / 64] |= bit_of(i);
  }
  counts_ = {};
  counts_.blocks = 1;
  counts_.threads = count_;
  error_.clear();
  blockIdx = unfold(index, grid.blocks);
  blockDim = grid.threads;
  gridDim = grid.blocks;
  return true;
}

std::string Block::run(const Grid& grid, const SimtContext& context, const KernelCall& kernel,
                       std::int64_t index) {
  kernel_ = &kernel;
  if (!prepare(grid, context, index)) {
    return "no memory for the stacks of " + std::to_string(count_) + " threads";
  }
  begin_.release();
  running_ = schedule_ == Schedule::reversed ? count_ - 1 : 0;
  running_ = schedule_ == Schedule::random ? pick() : running_;
  threadIdx = self().index;
  Fiber::change(main_, self().fiber);
  end_.acquire();
  if (g_observer != nullptr) {
    g_observer->end_block();
  }
  counts_.shared_bytes = static_cast<std::int64_t>(shared_.used());
  return error_.empty() ? "" : "block " + index_text(blockIdx) + ": " + error_;
}

void Block::thread_main(void* block) {
  Block& b = *static_cast<Block*>(block);
  b.begin_.acquire();
  b.kernel_->call(b.kernel_->object);
  b.finish_thread();
}

void Block::finish_thread() {
  end_.release();
  const int warp = running_ / kWarp;
  const std::uint32_t lane = std::uint32_t{1} << (running_ % kWarp);
  if (at_barrier_ > 0) {
    error_ = "__syncthreads is divergent: " + who(first_at_barrier_) + " waits at " +
             place(thread(first_at_barrier_).location) + ", " + who(running_) + " has exited";
    stop();
  }
  for (int i = 0; i < warps_[warp].meeting_count; ++i) {
    const Meeting& meeting = warps_[warp].meetings[i];
    if ((meeting.mask & lane) != 0) {
      const int other = warp * kWarp + std::countr_zero(meeting.arrived);
      error_ = std::string(name_of(meeting.what)) + " at " + place(thread(other).location) + ": " +
               who(other) + " waits for lane " + std::to_string(running_ % kWarp) + " of mask " +
               mask_text(meeting.mask) + ", but " + who(running_) + " has exited";
      stop();
    }
  }
  warps_[warp].exited |= lane;
  first_exited_ = exited_ == 0 ? running_ : first_exited_;
  ready_[running_ / 64] &= ~bit_of(running_);
  Fiber& from = self().fiber;
  if (++exited_ == count_) {
    Fiber::leave(from, main_);
  }
  const int next = pick();
  if (next < 0) {
    stop_in_deadlock();
  }
  running_ = next;
  threadIdx = self().index;
  ++counts_.switches;
  Fiber::leave(from, self().fiber);
}

void Block::stop() {
  end_.release();
  // The other threads stay where they are; their stacks are used anew by the next block. Device
  // code has no destructors that would matter.
  Fiber::change(self().fiber, main_);
  __builtin_unreachable();
}

int Block::pick() {
  if (schedule_ == Schedule::random) {
    random_ += 0x9E3779B97F4A7C15u;  // SplitMix64
    std::uint64_t z = random_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return first_ready_from(static_cast<int>((z >> 32) * static_cast<std::uint64_t>(count_) >> 32));
  }
  // The rest of a warp goes before other warps: its stacks are still in the cache.
  const int warp = running_ / kWarp;
  const int lane = running_ % kWarp;
  const auto ready = static_cast<std::uint32_t>(ready_[warp / 2] >> (warp % 2 * kWarp));
  if (schedule_ == Schedule::reversed) {
    const std::uint32_t below = ready & ((std::uint32_t{1} << lane) - 1);
    return ready == 0 ? last_ready_from(warp * kWarp - 1)
                      : warp * kWarp + kWarp - 1 - std::countl_zero(below != 0 ? below : ready);
  }
  const std::uint32_t above = ready & (~std::uint32_t{1} << lane);
  return ready == 0 ? first_ready_from(warp * kWarp + kWarp)
                    : warp * kWarp + std::countr_zero(above != 0 ? above : ready);
}

// Upwards from there, then from the bottom; -1: nobody is ready.
int Block::first_ready_from(int first) const {
  const int words = (count_ + 63) / 64;
  int word = first < count_ ? first / 64 : 0;
  std::uint64_t here = ready_[word];
  if (first < count_) {
    here &= ~std::uint64_t{0} << (first % 64);
  }
  for (int i = 0; i <= words; ++i) {
    if (here != 0) {
      return word * 64 + std::countr_zero(here);
    }
    word = word + 1 == words ? 0 : word + 1;
    here = ready_[word];
  }
  return -1;
}

// Downwards from there, then from the top.
int Block::last_ready_from(int last) const {
  const int words = (count_ + 63) / 64;
  int word = last >= 0 ? last / 64 : words - 1;
  std::uint64_t here = ready_[word];
  if (last >= 0) {
    here &= ~std::uint64_t{0} >> (63 - last % 64);
  }
  for (int i = 0; i <= words; ++i) {
    if (here != 0) {
      return word * 64 + 63 - std::countl_zero(here);
    }
    word = word == 0 ? words - 1 : word - 1;
    here = ready_[word];
  }
  return -1;
}

void Block::next_turn(Thread& t) {
  const int next = pick();
  if (next < 0) {
    stop_in_deadlock();
  }
  if (next != running_) {
    end_.release();  // should this thread never get another turn
    running_ = next;
    threadIdx = self().index;
    ++counts_.switches;
    Fiber::change(t.fiber, self().fiber);
  }
  t.waits_at = nullptr;
}

void Block::stop_in_deadlock() {
  error_ = "deadlock: nobody can go on; " + waiting_text();
  stop();
}

std::string Block::who(int number) { return "thread " + index_text(thread(number).index); }

// Who waits where, places with many threads once.
std::string Block::waiting_text() {
  std::string text;
  std::vector<bool> told(static_cast<std::size_t>(count_));
  for (int i = 0; i < count_; ++i) {
    const Thread& first = thread(i);
    if (told[static_cast<std::size_t>(i)] || first.waits_at == nullptr) {
      continue;
    }
    int others = 0;
    for (int j = i; j < count_; ++j) {
      const Thread& t = thread(j);
      if (t.waits_at == first.waits_at && same_place(t.location, first.location)) {
        told[static_cast<std::size_t>(j)] = true;
        others += j > i ? 1 : 0;
      }
    }
    text += (text.empty() ? "" : ", ") + who(i) +
            (others > 0 ? " and " + std::to_string(others) + " more wait at " : " waits at ") +
            first.waits_at + " " + place(first.location);
  }
  if (exited_ > 0) {
    text += ", " + std::to_string(exited_) + " have exited";
  }
  return text;
}

void Block::stop_in_divergence(const Location& at) {
  if (exited_ > 0) {
    error_ = "__syncthreads is divergent: " + who(running_) + " waits at " + place(at) + ", " +
             who(first_exited_) + " has exited";
  } else {
    error_ = "__syncthreads is divergent: " + who(first_at_barrier_) + " waits at " +
             place(thread(first_at_barrier_).location) + ", " + who(running_) + " at " + place(at);
  }
  stop();
}

void Block::barrier(const Location& at) {
  if (at_barrier_ == 0) {
    first_at_barrier_ = running_;
  }
  if (exited_ > 0 || (at_barrier_ > 0 && !same_place(thread(first_at_barrier_).location, at))) {
    stop_in_divergence(at);
  }
  set_waiting(self(), "__syncthreads", at);
  SyncPoint& sync = barrier_sync_.of(barrier_generation_);
  sync.release();
  if (++at_barrier_ == count_) {
    at_barrier_ = 0;
    ++barrier_generation_;
    ++counts_.block_barriers;
    if (g_observer != nullptr) {
      g_observer->block_in_step();
    }
    for (int word = 0; word * 64 < count_; ++word) {
      const int here = std::min(count_ - word * 64, 64);
      wake(word, ~std::uint64_t{0} >> (64 - here));
    }
  }
  next_turn(self());
  sync.acquire();
}

void Block::named_barrier(int id, int threads, bool wait, const Location& at) {
  const char* const call = wait ? "bar.sync" : "bar.arrive";
  if (id < 1 || id >= kNamedBarriers || threads < 1 || threads > count_ || threads % kWarp != 0) {
    error_ = std::string(call) + " at " + place(at) + ": barrier " + std::to_string(id) + " of " +
             std::to_string(threads) +
             " threads; there are barriers 1 to 15, and the count must be a " +
             "multiple of 32 up to the " + std::to_string(count_) + " threads of the block";
    stop();
  }
  NamedBarrier& barrier = named_[id];
  if (barrier.arrived > 0 && barrier.expected != threads) {
    error_ = std::string(call) + " at " + place(at) + ": " + who(running_) + " expects " +
             std::to_string(threads) + " threads at barrier " + std::to_string(id) +
             ", the first one, at " + place(barrier.first) + ", expected " +
             std::to_string(barrier.expected);
    stop();
  }
  if (barrier.arrived == 0) {
    barrier.expected = threads;
    barrier.first = at;
  }
  SyncPoint& sync = barrier.sync.of(barrier.generation);
  sync.release();
  if (wait) {
    set_waiting(self(), call, at);
    barrier.waiting[running_ / 64] |= bit_of(running_);
  }
  if (++barrier.arrived == threads) {
    barrier.arrived = 0;
    ++barrier.generation;
    ++counts_.block_barriers;
    for (int word = 0; word * 64 < count_; ++word) {
      wake(word, barrier.waiting[word]);
      barrier.waiting[word] = 0;
    }
  }
  if (wait) {
    next_turn(self());
    sync.acquire();
  }
}

void* Block::static_shared(const void* key, std::size_t bytes, const Location& at) {
  void* const data = shared_.array(key, bytes, at, error_);
  if (data == nullptr) {
    error_ = who(running_) + ": " + error_;
    stop();
  }
  return data;
}

}  // namespace basin::kernels::simt

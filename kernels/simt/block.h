// One block while it runs: whose turn it is, who waits where, and what they wait for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/simt/context.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/grid.h"
#include "kernels/simt/sanitizer.h"
#include "kernels/simt/shared_memory.h"

namespace basin::kernels::simt {

inline constexpr int kWarp = 32;
inline constexpr int kMostThreads = 1024;
inline constexpr int kNamedBarriers = 16;
inline constexpr int kPendingCopies = 128;

struct AsyncCopy {
  void* target;
  const void* source;
  int bytes;
  int valid;
};

/// Copies in order of issue, and how many of them each committed group closed.
struct CopyQueue {
  AsyncCopy copies[kPendingCopies];
  int count = 0;
  int committed = 0;           // copies that belong to a group
  int groups[kPendingCopies];  // their sizes, oldest first
  int group_count = 0;
};

/// What a turn touches comes first: of many threads, every line of the cache counts.
struct alignas(64) Thread {
  const char* waits_at = nullptr;  // the call, or null
  Location location;
  // Of the collective it waits at.
  std::uint64_t value = 0;
  std::uint64_t result = 0;
  std::int64_t argument = 0;
  int width = 0;
  Fiber fiber;
  Index3 index{};
  std::unique_ptr<CopyQueue> copies;
};

class Block {
 public:
  /// The block whose turn it is on this thread of the operating system.
  static Block& of_this_thread() { return running_here != nullptr ? *running_here : make_here(); }

  /// Runs the block with this linear index. Returns what was wrong, or "".
  std::string run(const Grid& grid, const SimtContext& context, const KernelCall& kernel,
                  std::int64_t index);
  const LaunchCounts& counts() const { return counts_; }

  // What the running thread asks for: see engine.h.
  void barrier(const Location& at);
  void named_barrier(int id, int threads, bool wait, const Location& at);
  static std::uint64_t collective(Collective what, std::uint32_t mask, std::uint64_t value,
                                  std::int64_t argument, int width, const Location& at);
  bool has_matrix_row(const void* row, int count, const Location& at);
  void matrix_exchange(const std::uint16_t* row, int count, bool transposed, std::uint32_t* to,
                       const Location& at);
  void matrix_multiply(Collective what, float* d, const std::uint32_t* a, const std::uint32_t* b,
                       const Location& at);
  void* static_shared(const void* key, std::size_t bytes, const Location& at);
  void* dynamic_shared() { return shared_.dynamic(); }
  bool in_shared_memory(const void* data, std::size_t bytes) const {
    return shared_.holds(data, bytes);
  }
  void async_copy(const AsyncCopy& copy, const Location& at);
  [[noreturn]] void misaligned_access(std::size_t bytes, const Location& at);
  void async_commit();
  void async_wait(int pending);

 private:
  // A warp collective that some lanes have come to.
  struct Meeting {
    Collective what;
    std::uint32_t mask;
    std::uint32_t arrived;
    unsigned generation;
  };
  struct Warp {
    Meeting meetings[kWarp];
    int meeting_count = 0;
    std::uint32_t exited = 0;
    unsigned generation[kWarp] = {};  // by the lowest lane of the mask
    BarrierSync sync[kWarp];
  };
  struct NamedBarrier {
    int expected = 0;
    int arrived = 0;
    unsigned generation = 0;
    std::uint64_t waiting[kMostThreads / 64] = {};
    Location first;
    BarrierSync sync;
  };

  static constinit thread_local Block* running_here;
  static Block& make_here();
  bool prepare(const Grid& grid, const SimtContext& context, std::int64_t index);
  static void thread_main(void* block);
  [[noreturn]] void finish_thread();
  /// Ends the block; error_ says why. Set it in a statement of its own: nothing on the stack of the
  /// running thread is destroyed.
  [[noreturn]] void stop();
  [[noreturn, gnu::cold]] void stop_in_deadlock();
  [[noreturn, gnu::cold]] void stop_in_divergence(const Location& at);

  Thread& self() { return threads_[static_cast<std::size_t>(running_)]; }
  Thread& thread(int number) { return threads_[static_cast<std::size_t>(number)]; }
  static std::uint64_t bit_of(int thread) { return std::uint64_t{1} << (thread % 64); }
  std::string who(int number);
  std::string waiting_text();

  void set_waiting(Thread& t, const char* call, const Location& at) {
    t.waits_at = call;
    t.location = at;
    ready_[running_ / 64] &= ~bit_of(running_);
  }
  void wake(int word, std::uint64_t threads) { ready_[word] |= threads; }
  /// Whoever is next gets its turn; comes back when this thread's, `t`, is.
  void next_turn(Thread& t);
  int pick();
  int first_ready_from(int first) const;
  int last_ready_from(int last) const;

  std::uint64_t meet(Collective what, std::uint32_t mask, std::uint64_t value,
                     std::int64_t argument, int width, const Location& at);
  std::uint32_t lanes_of(int warp) const;
  [[noreturn, gnu::cold]] void refuse_shuffle(Collective what, std::int64_t argument, int width,
                                              const Location& at);
  [[gnu::cold]] void check_meeting(Warp& warp, Collective what, std::uint32_t mask,
                                   const Location& at);
  [[gnu::noinline]] void complete(int warp, const Meeting& meeting);
  void complete_shuffle(int first, const Meeting& meeting);
  void complete_matrix(int first, const Meeting& meeting);
  std::uint64_t reduce(int first, const Meeting& meeting);

  const KernelCall* kernel_ = nullptr;
  std::unique_ptr<Thread[]> threads_ = std::make_unique<Thread[]>(kMostThreads);
  int mapped_ = 0;  // of them have a stack
  Fiber main_;
  Schedule schedule_ = Schedule::forward;
  std::uint64_t random_ = 0;
  int count_ = 0;
  int running_ = 0;
  int exited_ = 0;
  int first_exited_ = -1;
  std::uint64_t ready_[kMostThreads / 64] = {};

  int at_barrier_ = 0;
  int first_at_barrier_ = -1;
  unsigned barrier_generation_ = 0;
  BarrierSync barrier_sync_;
  NamedBarrier named_[kNamedBarriers];
  Warp warps_[kMostThreads / kWarp];
  SyncPoint begin_;  // from before the block into its threads
  SyncPoint end_;    // and back
  SharedMemory shared_;
  LaunchCounts counts_;
  std::string error_;
};

}  // namespace basin::kernels::simt

// Where a kernel written for CUDA runs when there is no GPU: on the CPU, thread by thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/thread_pool.h"

namespace basin::kernels {

/// In which order the threads of a block (and the blocks of a grid) get their turns. A turn lasts
/// until the thread waits for others. A correct kernel gives the same result in any order.
enum class Schedule : std::uint8_t { forward, reversed, random };

/// What launches did, added up. Results of the executor, not predictions for a GPU.
struct LaunchCounts {
  std::int64_t launches = 0;
  std::int64_t blocks = 0;
  std::int64_t threads = 0;
  std::int64_t switches = 0;          ///< from one thread to another
  std::int64_t block_barriers = 0;    ///< __syncthreads and named barriers that opened
  std::int64_t warp_collectives = 0;  ///< __syncwarp, shuffles, votes, mma, ...; per warp
  std::int64_t async_copies = 0;      ///< per thread
  std::int64_t shared_bytes = 0;      ///< the most that one block used, static and dynamic
};

/// Shared memory of one block on a GPU of compute capability 9.0.
inline constexpr std::size_t kSharedBytesOfHopper = 227 * 1024;
/// The same for 8.0.
inline constexpr std::size_t kSharedBytesOfAmpere = 163 * 1024;

/// Runs CUDA kernels on the CPU.
struct SimtContext {
  ThreadPool* pool = nullptr;  ///< runs several blocks at once; null: one after the other
  Schedule schedule = Schedule::forward;
  std::uint64_t seed = 0;  ///< of the random schedule
  std::size_t shared_limit = kSharedBytesOfHopper;
  LaunchCounts* counts = nullptr;  ///< if not null, every launch adds to it
};

}  // namespace basin::kernels

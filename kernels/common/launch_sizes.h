// How many threads and blocks a kernel is launched with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace basin::kernels {

/// Dynamic shared memory of a block up to which launch() asks a GPU for nothing: the rest of 48 KiB
/// is for static arrays.
inline constexpr std::size_t kSharedWithoutAsking = 32 * 1024;

/// `count` cut into pieces of `size`.
constexpr std::int64_t pieces_of(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

/// Blocks for a loop in which every thread takes each (number of threads)-th element.
constexpr unsigned blocks_for(std::int64_t count, unsigned threads) {
  constexpr std::int64_t kMost = 132 * 16;  // fills every card and leaves several elements a thread
  return static_cast<unsigned>(std::min(pieces_of(count, threads), kMost));
}

/// Threads of a block that works on one row: whole warps, at most 256.
constexpr unsigned threads_for_row(std::int64_t columns) {
  return static_cast<unsigned>(std::clamp<std::int64_t>(pieces_of(columns, 32) * 32, 32, 256));
}

}  // namespace basin::kernels

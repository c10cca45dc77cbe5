// A radix sort of 8 bits a pass, least significant first, which keeps the order of equal digits.
// Each pass counts the digits of every tile, turns the counts into first places, and moves the
// pairs of a tile there. No result depends on the order in which blocks or warps run.
#include "kernels/embedding/sort_ids.cuh"

#include <cstdint>
#include <utility>

#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels::sort_ids {

namespace {

constexpr unsigned kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kDigits = 256;
constexpr int kPerWarp = 8 * kWarpSize;  // pairs of a warp, in 8 rounds
constexpr std::int64_t kTile = std::int64_t{kWarps} * kPerWarp;

// The pairs as they come. An id outside the table counts as `vocabulary`, behind all others.
BASIN_KERNEL void make_pairs(const std::int64_t* ids, std::int64_t count, std::int64_t vocabulary,
                             Pairs to) {
  const std::int64_t t = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (t < count) {
    const std::int64_t id = ids[t];
    to.id[t] = static_cast<std::uint32_t>(id >= 0 && id < vocabulary ? id : vocabulary);
    to.position[t] = static_cast<std::uint32_t>(t);
  }
}

// counts[digit][warp] for the pairs of this block's tile; for all threads behind a barrier. Lanes
// with the same digit are counted together by the first of them.
struct WarpCounts {
  std::uint32_t* counts;
  BASIN_DEVICE std::uint32_t& of(unsigned digit, unsigned warp) const {
    return counts[digit * kWarps + warp];
  }
};

// The lanes of the warp whose digit is the same as this one's; `valid` lanes only.
BASIN_DEVICE unsigned lanes_with(unsigned digit, bool valid) {
  unsigned same = __ballot_sync(kAllLanes, valid ? 1 : 0);
  for (unsigned bit = 1; bit < kDigits; bit *= 2) {
    const bool set = (digit & bit) != 0;
    const unsigned votes = __ballot_sync(kAllLanes, set ? 1 : 0);
    same &= set ? votes : ~votes;
  }
  return same;
}

// Calls function(index of a pair, its digit, lanes with the same one) for the pairs of this warp in
// order; all lanes call it, those without a pair with an index of -1.
template <class F>
BASIN_DEVICE void for_pairs_of_warp(const Pairs& from, std::int64_t count, int shift,
                                    F&& function) {
  const std::int64_t first = std::int64_t{blockIdx.x} * kTile +
                             std::int64_t{threadIdx.x / kWarpSize} * kPerWarp +
                             threadIdx.x % kWarpSize;
  for (int round = 0; round < kPerWarp; round += kWarpSize) {
    const std::int64_t at = first + round;
    const bool valid = at < count;
    const unsigned digit = valid ? from.id[at] >> shift & (kDigits - 1) : 0;
    function(valid ? at : -1, digit, lanes_with(digit, valid));
  }
}

BASIN_DEVICE WarpCounts count_digits(const Pairs& from, std::int64_t count, int shift) {
  const WarpCounts counts{shared<std::uint32_t, kDigits * kWarps>()};
  for (unsigned i = threadIdx.x; i < kDigits * kWarps; i += blockDim.x) {
    counts.counts[i] = 0;
  }
  __syncthreads();
  const unsigned lane = threadIdx.x % kWarpSize;
  const unsigned warp = threadIdx.x / kWarpSize;
  for_pairs_of_warp(from, count, shift, [&](std::int64_t at, unsigned digit, unsigned same) {
    if (at >= 0 && (same & ((1u << lane) - 1)) == 0) {
      counts.of(digit, warp) += static_cast<std::uint32_t>(__popc(same));
    }
    __syncwarp();
  });
  __syncthreads();
  return counts;
}

// places[digit][tile] = how many pairs of the tile have the digit. A thread for a digit.
BASIN_KERNEL void count_tiles(Pairs from, std::int64_t count, int shift, std::uint32_t* places) {
  const WarpCounts counts = count_digits(from, count, shift);
  std::uint32_t sum = 0;
  for (unsigned warp = 0; warp < kWarps; ++warp) {
    sum += counts.of(threadIdx.x, warp);
  }
  places[std::int64_t{threadIdx.x} * gridDim.x + blockIdx.x] = sum;
}

// Each number becomes the sum of those before it. One block: there are 256 for each 2048 ids.
BASIN_KERNEL void sum_before(std::uint32_t* numbers, std::int64_t count) {
  std::uint32_t* const of_warp = shared<std::uint32_t, kWarps>();
  const unsigned lane = threadIdx.x % kWarpSize;
  const unsigned warp = threadIdx.x / kWarpSize;
  std::uint32_t before = 0;
  for (std::int64_t begin = 0; begin < count; begin += kThreads) {
    const std::int64_t at = begin + threadIdx.x;
    const std::uint32_t number = at < count ? numbers[at] : 0;
    std::uint32_t sum = number;
    for (unsigned distance = 1; distance < kWarpSize; distance *= 2) {
      const std::uint32_t lower = __shfl_up_sync(kAllLanes, sum, distance);
      sum += lane >= distance ? lower : 0;
    }
    if (lane == kWarpSize - 1) {
      of_warp[warp] = sum;
    }
    __syncthreads();
    std::uint32_t total = 0;
    for (unsigned w = 0; w < kWarps; ++w) {
      sum += w < warp ? of_warp[w] : 0;
      total += of_warp[w];
    }
    if (at < count) {
      numbers[at] = before + sum - number;
    }
    before += total;
    __syncthreads();
  }
}

// Moves the pairs of a tile to their places, each behind those of its digit in earlier tiles,
// earlier warps and lower lanes.
BASIN_KERNEL void move_pairs(Pairs from, Pairs to, std::int64_t count, int shift,
                             const std::uint32_t* places) {
  const WarpCounts counts = count_digits(from, count, shift);
  std::uint32_t place = places[std::int64_t{threadIdx.x} * gridDim.x + blockIdx.x];
  for (unsigned warp = 0; warp < kWarps; ++warp) {
    const std::uint32_t more = counts.of(threadIdx.x, warp);
    counts.of(threadIdx.x, warp) = place;
    place += more;
  }
  __syncthreads();
  const unsigned lane = threadIdx.x % kWarpSize;
  const unsigned warp = threadIdx.x / kWarpSize;
  for_pairs_of_warp(from, count, shift, [&](std::int64_t at, unsigned digit, unsigned same) {
    const auto lower = static_cast<std::uint32_t>(__popc(same & ((1u << lane) - 1)));
    if (at >= 0) {
      const std::int64_t target = std::int64_t{counts.of(digit, warp)} + lower;
      to.id[target] = from.id[at];
      to.position[target] = from.position[at];
    }
    __syncwarp();
    if (at >= 0 && lower == 0) {
      counts.of(digit, warp) += static_cast<std::uint32_t>(__popc(same));
    }
    __syncwarp();
  });
}

std::int64_t tiles_of(std::int64_t count) { return pieces_of(count, kTile); }

}  // namespace

std::int64_t places_of(std::int64_t count, const DeviceContext&) {
  return kDigits * tiles_of(count);
}

Status sort(const std::int64_t* ids, std::int64_t count, std::int64_t vocabulary, Pairs& pairs,
            Pairs& other, std::uint32_t* places, const DeviceContext& context) {
  const auto blocks = static_cast<unsigned>(pieces_of(count, kThreads));
  const auto tiles = static_cast<unsigned>(tiles_of(count));
  Status status = launch({"embedding_make_pairs", {blocks, 1, 1}, {kThreads, 1, 1}}, context,
                         make_pairs, ids, count, vocabulary, pairs);
  for (int shift = 0; status.ok() && shift < 32 && vocabulary >> shift > 0; shift += 8) {
    status = launch({"embedding_count_tiles", {tiles, 1, 1}, {kThreads, 1, 1}}, context,
                    count_tiles, pairs, count, shift, places);
    if (status.ok()) {
      status = launch({"embedding_sum_before", {1, 1, 1}, {kThreads, 1, 1}}, context, sum_before,
                      places, places_of(count, context));
    }
    if (status.ok()) {
      status = launch({"embedding_move_pairs", {tiles, 1, 1}, {kThreads, 1, 1}}, context,
                      move_pairs, pairs, other, count, shift, places);
    }
    std::swap(pairs, other);
  }
  return status;
}

}  // namespace basin::kernels::sort_ids

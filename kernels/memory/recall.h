// What the recall of all memories of binary units has in common.
#pragma once

#include <cstdint>
#include <numeric>

#include "kernels/common/philox.h"

namespace basin {

/// In which order the units are looked at. random: each sweep in a fresh order, one unit after the
/// other. index: one after the other from the first. synchronous: all at once, from the same state.
enum class RecallOrder : std::uint8_t { random, index, synchronous };

/// How a recall ended. unsettled: the allowed sweeps were used up. fixed_point: a sweep changed
/// nothing. cycle: synchronous updates came back to the state before the last one.
enum class RecallOutcome : std::uint8_t { unsettled, fixed_point, cycle };

/// Names as users write them; the parser answers false for an unknown name.
const char* name_of(RecallOrder);
const char* name_of(RecallOutcome);
bool parse(const char* name, RecallOrder&);

}  // namespace basin

namespace basin::kernels {

/// order[0 ... count) becomes the order of one sweep: a shuffle (Fisher and Yates) that is a
/// function of (key, query, sweep) and of nothing else, or the order of the units themselves.
inline void sweep_order(RecallOrder kind, std::uint64_t key, std::uint64_t query,
                        std::uint64_t sweep, std::int32_t* order, std::int64_t count) {
  std::iota(order, order + count, 0);
  if (kind != RecallOrder::random) {
    return;
  }
  const std::uint64_t blocks = (static_cast<std::uint64_t>(count) + 3) / 4;
  for (std::uint64_t block = 0; block < blocks; ++block) {
    const auto words = philox(key, sweep * blocks + block, query);
    for (std::uint64_t w = 0; w < 4; ++w) {
      const auto last = static_cast<std::int64_t>(4 * block + w) + 1;
      if (last >= count) {
        return;
      }
      // A whole number in [0, last], with a bias below count / 2^32.
      const std::uint64_t other =
          (std::uint64_t{words[w]} * (static_cast<std::uint64_t>(last) + 1)) >> 32;
      const std::int32_t kept = order[last];
      order[last] = order[other];
      order[other] = kept;
    }
  }
}

}  // namespace basin::kernels

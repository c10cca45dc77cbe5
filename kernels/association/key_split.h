// The keys of a head in parts, where its queries are too few for a card.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

struct KeySplit {
  std::int64_t parts = 1;
  std::int64_t keys = 0;    ///< of a part, the last of which may be shorter
  void* partial = nullptr;  ///< what each part leaves of each query, if there is more than one
};

/// For `blocks` tiles of queries in all heads, which pass over `passed` of M keys, wherever these
/// lie, in tiles of `tile` keys. A part of fewer than kFewestKeys costs more than it brings. A
/// function of the problem alone, not of the card, and so are the bits of what comes out.
inline KeySplit key_split(std::int64_t blocks, std::int64_t M, std::int64_t passed,
                          std::int64_t tile, void* partial) {
  constexpr std::int64_t kBlocks = 264;  // two on each multiprocessor of a large card
  constexpr std::int64_t kFewestKeys = 256;
  KeySplit split{1, M, partial};
  const std::int64_t wanted = kBlocks / std::max<std::int64_t>(1, blocks);
  if (wanted > 1 && passed >= 2 * kFewestKeys) {
    const std::int64_t fewest = pieces_of(kFewestKeys * M, passed);
    split.keys = pieces_of(std::max(fewest, pieces_of(M, wanted)), tile) * tile;
    split.parts = pieces_of(M, split.keys);
  }
  return split;
}

}  // namespace basin::kernels

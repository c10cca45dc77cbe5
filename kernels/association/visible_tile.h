// Which keys a tile of queries needs, and which blocks of them all its queries see.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/association/visibility.h"

namespace basin::kernels {

/// Queries begin ... end - 1 of one head, begin a multiple of 64, at most 64 of them: as many as
/// share a draw of a random mask by tile or block.
struct VisibleTile {
  static constexpr std::int64_t kQueries = 64;

  const Visibility& seen;
  std::int64_t b, h, begin, end;

  std::int64_t shift() const { return seen.M - seen.L; }
  bool shares_draws() const { return seen.is_random() && seen.query_shift >= 6; }
  bool has_global_query() const {
    return seen.has_window() && begin + shift() < seen.global_tokens && end - 1 + shift() >= 0;
  }

  /// Writes the keys that some query of the tile may see, in rising order, and returns how many.
  std::int64_t list(std::int32_t* keys) const {
    const std::int64_t last = seen.prefix(b, end - 1);
    std::int64_t count = 0;
    DrawsOfQuery drawn(seen, b, h, begin);
    const auto add = [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t j = from; j < to; ++j) {
        if (!shares_draws() || drawn(j)) {
          keys[count++] = static_cast<std::int32_t>(j);
        } else if (seen.key_shift > 0) {
          // The whole block of keys has the same draw.
          j |= (std::int64_t{1} << seen.key_shift) - 1;
        }
      }
    };
    if (!seen.has_window() || has_global_query()) {
      add(0, last);
      return count;
    }
    const std::int64_t globals = std::min(seen.global_tokens, last);
    add(0, globals);
    add(std::max(globals, begin + shift() - seen.reach()),
        std::min(last, end + shift() + seen.reach()));
    return count;
  }

  /// Whether every query of the tile sees every key of the list from `first` to `last`.
  bool sees_all(std::int64_t first, std::int64_t last) const {
    if (seen.mask != nullptr || (seen.is_random() && !shares_draws())) {
      return false;
    }
    if (last >= seen.prefix(b, begin)) {  // the first query sees the least
      return false;
    }
    if (!seen.has_window() || last < seen.global_tokens) {
      return true;
    }
    return seen.dilation == 1 && first >= end - 1 + shift() - seen.reach() &&
           last <= begin + shift() + seen.reach();
  }

  /// Whether query i sees key j of the list.
  bool sees(std::int64_t i, std::int64_t j) const {
    return j < seen.prefix(b, i) && seen.in_window(i, j) && seen.in_mask(b, h, i, j) &&
           (shares_draws() || seen.drawn(b, h, i, j));
  }
};

/// VisibleTile::sees() of one query, for keys in rising order.
class SightOfQuery {
 public:
  SightOfQuery(const VisibleTile& tile, std::int64_t i)
      : tile_(tile),
        i_(i),
        end_(tile.seen.prefix(tile.b, i)),
        draws_alone_(tile.seen.is_random() && !tile.shares_draws()),
        draws_(tile.seen, tile.b, tile.h, i) {}

  bool operator()(std::int64_t j) {
    return j < end_ && tile_.seen.in_window(i_, j) && tile_.seen.in_mask(tile_.b, tile_.h, i_, j) &&
           (!draws_alone_ || draws_(j));
  }

 private:
  const VisibleTile& tile_;
  std::int64_t i_, end_;
  bool draws_alone_;
  DrawsOfQuery draws_;
};

}  // namespace basin::kernels

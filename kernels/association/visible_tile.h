// Which keys a tile of queries needs, and which blocks of them all its queries see.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/association/visibility.h"
#include "kernels/common/qualifiers.h"

namespace basin::kernels {

/// Two ranges of numbers, the second one behind the first; either may be empty.
struct Spans {
  std::int64_t begin = 0, end = 0, next_begin = 0, next_end = 0;
};

/// Queries begin ... end - 1 of one head. No multiple of 64 lies between two of them: they share a
/// draw of a random mask by tile or block.
struct VisibleTile {
  static constexpr std::int64_t kQueries = 64;

  const Visibility& seen;
  std::int64_t b, h, begin, end;

  BASIN_HOST_DEVICE std::int64_t shift() const { return seen.M - seen.L; }
  bool shares_draws() const { return seen.is_random() && seen.query_shift >= 6; }
  BASIN_HOST_DEVICE bool has_global_query() const {
    return seen.has_window() && begin + shift() < seen.global_tokens && end - 1 + shift() >= 0;
  }

  /// Where the keys lie that some query of the tile may see: global ones and a band, or all.
  BASIN_HOST_DEVICE Spans spans() const {
    const std::int64_t last = seen.prefix(b, end - 1);  // the last query sees the most
    if (!seen.has_window() || has_global_query()) {
      return {0, last, 0, 0};
    }
    const std::int64_t globals = seen.global_tokens < last ? seen.global_tokens : last;
    const std::int64_t first = begin + shift() - seen.reach();
    const std::int64_t past = end + shift() + seen.reach();
    return {0, globals, globals < first ? first : globals, last < past ? last : past};
  }

  /// Writes the keys that some query of the tile may see, in rising order, and returns how many.
  std::int64_t list(std::int32_t* keys) const {
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
    const Spans where = spans();
    add(where.begin, where.end);
    add(where.next_begin, where.next_end);
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

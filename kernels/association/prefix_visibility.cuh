// Which keys the queries of a tile see, asked by the main loops of the attention kernels. Another
// kind of visibility is another class with these members.
#pragma once

#include <cstdint>

#include "kernels/common/qualifiers.h"

namespace basin::kernels {

namespace {

/// Whose results a block computes: it has rows of that side and passes over the other.
enum class Side : std::uint8_t { queries, keys };

/// Of a tile of queries and keys: no pair is visible, all are, or keep() decides.
enum class TileKind : std::uint8_t { skip, full, partial };

/// Causality and padding: query i sees the keys in front of end_for(i).
class PrefixVisibility {
 public:
  template <class P>
  BASIN_DEVICE PrefixVisibility(const P& p, std::int64_t b, std::int64_t /*h*/)
      : L_(p.L), keys_(p.M), reach_(p.causal ? p.M - p.L + 1 : p.M) {
    causal_ = p.causal;
    if (p.key_lengths != nullptr) {
      const std::int64_t length = p.key_lengths[b];
      keys_ = length < 0 ? 0 : (length < keys_ ? length : keys_);
    }
  }

  /// No query before `query_end` sees a key from here on: it must not be read for them.
  BASIN_DEVICE std::int64_t key_end(std::int64_t query_end) const {
    return query_end > 0 ? end_for(query_end - 1) : 0;
  }
  /// No query in front of this one sees a key from `key_begin` on.
  BASIN_DEVICE std::int64_t query_begin(std::int64_t key_begin) const {
    if (key_begin >= keys_) {
      return L_;
    }
    const std::int64_t first = causal_ ? key_begin - reach_ + 1 : 0;
    return first < 0 ? 0 : first;
  }
  /// Both ranges are not empty and lie within the queries and keys there are.
  BASIN_DEVICE TileKind classify(std::int64_t query_begin, std::int64_t query_end,
                                 std::int64_t key_begin, std::int64_t key_end) const {
    if (key_begin >= end_for(query_end - 1)) {
      return TileKind::skip;
    }
    return key_end <= end_for(query_begin) ? TileKind::full : TileKind::partial;
  }
  BASIN_DEVICE bool keep(std::int64_t i, std::int64_t j) const { return j < end_for(i); }

 private:
  BASIN_DEVICE std::int64_t end_for(std::int64_t i) const {
    const std::int64_t past = causal_ ? i + reach_ : reach_;
    return past < 0 ? 0 : (past < keys_ ? past : keys_);
  }

  std::int64_t L_;
  std::int64_t keys_;
  std::int64_t reach_;  // keys that query 0 sees by causality, or all queries; may be negative
  bool causal_ = false;
};

}  // namespace

}  // namespace basin::kernels

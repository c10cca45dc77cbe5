// Which pairs of a head are visible, up to 32 at a time as the bits of a word. Position decides
// over a whole range of bits at once; only what is left is asked of a mask or drawn.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/association/visible_tile.h"
#include "kernels/common/qualifiers.h"

namespace basin::kernels {

namespace {

/// Bits begin ... end - 1 of 32.
BASIN_DEVICE inline std::uint32_t bits_between(std::int64_t begin, std::int64_t end) {
  const int first = static_cast<int>(begin < 0 ? 0 : (begin > 32 ? 32 : begin));
  const int past = static_cast<int>(end < 0 ? 0 : (end > 32 ? 32 : end));
  return first < past ? (~0u >> (32 - (past - first))) << first : 0u;
}

/// words[n], where n is not known at compile time, without an address.
BASIN_DEVICE inline std::uint32_t word_of(const std::array<std::uint32_t, 4>& words,
                                          std::int64_t n) {
  return (n & 2) != 0 ? ((n & 1) != 0 ? words[3] : words[2]) : ((n & 1) != 0 ? words[1] : words[0]);
}

/// For a pair of queries and keys: whether it takes part in the weights, and whether the value is
/// read. Bits of a tile.
struct SightWords {
  std::uint32_t counted;
  std::uint32_t read;
};

class PairVisibility {
 public:
  /// `all`: every key that padding leaves takes part in the weights (normalise_all).
  BASIN_DEVICE PairVisibility(const Visibility& seen, const WeightDropout& dropout, bool all,
                              std::int64_t b, std::int64_t h)
      : seen_(seen),
        dropout_(dropout),
        all_(all),
        b_(b),
        h_(h),
        length_(seen.length(b)),
        shift_(seen.M - seen.L),
        reach_(seen.reach()),
        globals_(smaller(seen.global_tokens, seen.M)),
        mask_(seen.mask == nullptr
                  ? nullptr
                  : seen.mask + b * seen.mask_batch_stride + h * seen.mask_head_stride) {}

  /// Where the keys lie that take part for some of the queries.
  BASIN_DEVICE Spans keys_for(std::int64_t query, std::int64_t query_end) const {
    if (all_) {
      return {0, length_, 0, 0};
    }
    return VisibleTile{seen_, b_, h_, query, query_end}.spans();
  }

  /// Where the queries lie for which some of the keys take part.
  BASIN_DEVICE Spans queries_for(std::int64_t key, std::int64_t key_end) const {
    if (key >= length_) {
      return {};
    }
    if (all_) {
      return {0, seen_.L, 0, 0};
    }
    const std::int64_t first = seen_.causal ? larger(0, key - shift_) : 0;
    if (!seen_.has_window() || key < globals_) {
      return {first, seen_.L, 0, 0};
    }
    // Queries at global positions, and those whose window reaches a key.
    const std::int64_t globals = larger(first, -shift_);
    const std::int64_t globals_end = smaller(seen_.L, globals_ - shift_);
    const std::int64_t band = larger(first, key - shift_ - reach_);
    const std::int64_t band_end = smaller(seen_.L, key_end - shift_ + reach_);
    if (globals >= globals_end) {
      return {band, band_end, 0, 0};
    }
    if (globals_end < band) {
      return {globals, globals_end, band, band_end};
    }
    return {smaller(globals, band), larger(globals_end, band_end), 0, 0};
  }

  /// Bit n of word e: query first + n and key `key` + e, of which those in front of `begin` and
  /// from `end` on do not count; `key` is a multiple of 4.
  BASIN_DEVICE void look_at_keys(std::int64_t key, std::int64_t begin, std::int64_t end,
                                 std::int64_t first, std::int64_t count,
                                 SightWords (&words)[4]) const {
    BASIN_UNROLL
    for (int e = 0; e < 4; ++e) {
      const bool there = key + e >= begin && key + e < end;
      words[e].read = there ? queries_near(key + e, first, count) : 0u;
      words[e].counted = there && all_ ? bits_between(0, count) : words[e].read;
    }
    if (mask_ != nullptr) {
      for (int n = 0; n < count; ++n) {
        const std::uint8_t* const row = mask_ + (first + n) * seen_.M + key;
        BASIN_UNROLL
        for (int e = 0; e < 4; ++e) {
          if (has(words[e].read, n) && row[e] == 0) {
            words[e].read &= ~(1u << n);
          }
        }
      }
    }
    if (seen_.is_random() && count > 0) {
      const bool share = (first >> seen_.query_shift) == ((first + count - 1) >> seen_.query_shift);
      for (int n = 0; n < (share ? 1 : count); ++n) {
        const std::uint32_t bits = share ? ~0u : 1u << n;
        if (((words[0].read | words[1].read | words[2].read | words[3].read) & bits) == 0) {
          continue;
        }
        const std::array<std::uint32_t, 4> draws = seen_.draws(b_, h_, first + n, key);
        BASIN_UNROLL
        for (int e = 0; e < 4; ++e) {
          if (word_of(draws, (key + e) >> seen_.key_shift) >= seen_.keep_below) {
            words[e].read &= ~bits;
          }
        }
      }
    }
    if (!all_) {
      BASIN_UNROLL
      for (int e = 0; e < 4; ++e) {
        words[e].counted = words[e].read;
      }
    }
    if (dropout_.p > 0) {
      for (int n = 0; n < count; ++n) {
        if (has(words[0].read | words[1].read | words[2].read | words[3].read, n)) {
          const std::array<std::uint32_t, 4> draws = dropout_.draws(b_, h_, first + n, key);
          BASIN_UNROLL
          for (int e = 0; e < 4; ++e) {
            words[e].read &= dropout_.keeps(draws[e]) ? ~0u : ~(1u << n);
          }
        }
      }
    }
  }

  /// Bit n: query i and key first + n, n < count; `first` is a multiple of 4.
  BASIN_DEVICE SightWords look_at_query(std::int64_t i, std::int64_t first, int count) const {
    std::uint32_t word = keys_near(i, first, count);
    const std::uint32_t padded = bits_between(0, smaller(count, length_ - first));
    if (mask_ != nullptr) {
      const std::uint8_t* const row = mask_ + i * seen_.M + first;
      for (int n = 0; n < count; ++n) {
        if (has(word, n) && row[n] == 0) {
          word &= ~(1u << n);
        }
      }
    }
    if (seen_.is_random()) {
      std::array<std::uint32_t, 4> draws{};
      std::int64_t block = -1;
      for (int n = 0; n < count; n += 4) {
        if (((word >> n) & 15u) == 0) {
          continue;
        }
        const std::int64_t next = ((first + n) >> seen_.key_shift) >> 2;
        if (next != block) {
          block = next;
          draws = seen_.draws(b_, h_, i, first + n);
        }
        BASIN_UNROLL
        for (int e = 0; e < 4; ++e) {
          if (word_of(draws, (first + n + e) >> seen_.key_shift) >= seen_.keep_below) {
            word &= ~(1u << (n + e));
          }
        }
      }
    }
    SightWords result{all_ ? padded : word, word};
    if (dropout_.p > 0) {
      for (int n = 0; n < count; n += 4) {
        if (((word >> n) & 15u) != 0) {
          const std::array<std::uint32_t, 4> draws = dropout_.draws(b_, h_, i, first + n);
          BASIN_UNROLL
          for (int e = 0; e < 4; ++e) {
            result.read &= dropout_.keeps(draws[e]) ? ~0u : ~(1u << (n + e));
          }
        }
      }
    }
    return result;
  }

  /// The same for any keys that the random mask leaves to query i. Not with normalise_all.
  BASIN_DEVICE SightWords look_at_query(std::int64_t i, const std::int32_t* keys, int count) const {
    SightWords result{0, 0};
    const std::int64_t end = seen_.prefix(b_, i);
    for (int n = 0; n < count; ++n) {
      const std::int64_t j = keys[n];
      const bool seen =
          j < end && seen_.in_window(i, j) && (mask_ == nullptr || mask_[i * seen_.M + j] != 0);
      result.counted |= seen ? 1u << n : 0u;
      result.read |= seen && (dropout_.p == 0 || dropout_.keeps(b_, h_, i, j)) ? 1u << n : 0u;
    }
    return result;
  }

 private:
  BASIN_DEVICE static bool has(std::uint32_t word, int n) { return ((word >> n) & 1u) != 0; }
  BASIN_DEVICE static std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
  BASIN_DEVICE static std::int64_t larger(std::int64_t a, std::int64_t b) { return a < b ? b : a; }

  // Bits in the window around bit `at`, which may lie outside.
  BASIN_DEVICE std::uint32_t in_band(std::int64_t at, std::int64_t count) const {
    if (seen_.dilation == 1) {
      return bits_between(at - reach_, at + reach_ + 1);
    }
    std::int64_t n = at - reach_;
    n += n < 0 ? (seen_.dilation - 1 - n) / seen_.dilation * seen_.dilation : 0;
    std::uint32_t word = 0;
    for (; n <= at + reach_ && n < count; n += seen_.dilation) {
      word |= 1u << n;
    }
    return word;
  }
  // By position alone: the queries that see key j, the keys that query i sees.
  BASIN_DEVICE std::uint32_t queries_near(std::int64_t j, std::int64_t first,
                                          std::int64_t count) const {
    if (j >= length_) {
      return 0;
    }
    const std::int64_t at = j - shift_ - first;  // of the query at the position of the key
    std::uint32_t word = bits_between(seen_.causal ? at : 0, count);
    if (seen_.has_window() && j >= globals_) {
      const std::int64_t globals = -shift_ - first;
      word &= in_band(at, count) | bits_between(globals, globals + globals_);
    }
    return word;
  }
  BASIN_DEVICE std::uint32_t keys_near(std::int64_t i, std::int64_t first, int count) const {
    std::uint32_t word = bits_between(0, smaller(count, seen_.prefix(b_, i) - first));
    if (!seen_.is_global(i)) {
      word &= in_band(i + shift_ - first, count) | bits_between(-first, globals_ - first);
    }
    return word;
  }

  const Visibility& seen_;
  const WeightDropout& dropout_;
  bool all_;
  std::int64_t b_, h_, length_, shift_, reach_, globals_;
  const std::uint8_t* mask_;
};

}  // namespace

}  // namespace basin::kernels

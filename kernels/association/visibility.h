// Which keys a query sees, as plain numbers that a kernel takes by value: CPU and CUDA kernels ask
// the same keep(b, h, i, j). Top-k is stated here but decided by the scores.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/common/philox.h"
#include "kernels/common/qualifiers.h"

namespace basin::kernels {

/// Query i stands at position p = i + M - L; key j is visible if all of these allow it:
/// causal: j <= p. Padding: j < key_lengths[b]. Window: |j - p| <= radius dilation and dilation
/// divides j - p; the first `global_tokens` positions are seen by all and see all. Random: a draw
/// of (random_key, b, h, i >> query_shift, j >> key_shift) is below keep_below. Mask: its byte is
/// not 0. Top-k: the score is at least the k-th largest of the scores of the keys that are left;
/// ties stay in; with fewer than k keys all stay.
struct Visibility {
  std::int64_t L = 0;
  std::int64_t M = 0;
  bool causal = false;
  const std::int64_t* key_lengths = nullptr;  ///< (B), or null: no padding; clamped to [0, M]

  std::int64_t radius = -1;  ///< below 0: no window
  std::int64_t dilation = 1;
  std::int64_t global_tokens = 0;

  static constexpr std::uint64_t kKeepAll = std::uint64_t{1} << 32;
  std::uint64_t random_key = 0;
  const std::uint64_t* random_key_pointer = nullptr;  ///< unless null, what it points to instead
  std::uint64_t keep_below = kKeepAll;                ///< probability times 2^32
  std::int32_t query_shift = 0;                       ///< queries that share a draw: 2^query_shift
  std::int32_t key_shift = 0;

  const std::uint8_t* mask = nullptr;  ///< rows of M bytes, L of them per head; or null
  std::int64_t mask_batch_stride = 0;  ///< 0: one for all
  std::int64_t mask_head_stride = 0;

  std::int64_t top_k = 0;     ///< 0: no limit by count
  double top_fraction = 0.0;  ///< k = max(1, floor(fraction keys + 1e-9)) of the unpadded keys

  BASIN_HOST_DEVICE std::int64_t length(std::int64_t b) const {
    if (key_lengths == nullptr) {
      return M;
    }
    const std::int64_t length = key_lengths[b];
    return length < 0 ? 0 : (length > M ? M : length);
  }
  /// Keys at and beyond this are hidden from query i by padding or causality.
  BASIN_HOST_DEVICE std::int64_t prefix(std::int64_t b, std::int64_t i) const {
    const std::int64_t end = length(b);
    const std::int64_t past = i + M - L + 1;
    return !causal || past > end ? end : (past < 0 ? 0 : past);
  }
  BASIN_HOST_DEVICE std::uint64_t draw_key() const {
    return random_key_pointer == nullptr ? random_key : *random_key_pointer;
  }
  BASIN_HOST_DEVICE bool has_window() const { return radius >= 0; }
  BASIN_HOST_DEVICE bool has_top() const { return top_k > 0 || top_fraction > 0; }
  BASIN_HOST_DEVICE bool is_random() const { return keep_below < kKeepAll; }
  /// Visible keys are a prefix: nothing but causality and padding hides any.
  BASIN_HOST_DEVICE bool is_prefix() const {
    return !has_window() && !has_top() && !is_random() && mask == nullptr;
  }
  /// Query i sees its whole prefix in spite of a window.
  BASIN_HOST_DEVICE bool is_global(std::int64_t i) const {
    const std::int64_t p = i + M - L;
    return !has_window() || (p >= 0 && p < global_tokens);
  }
  /// How far the window reaches, without overflow for any radius.
  BASIN_HOST_DEVICE std::int64_t reach() const {
    const std::int64_t most = (L + M) / dilation + 1;
    return (radius < most ? radius : most) * dilation;
  }
  BASIN_HOST_DEVICE bool in_window(std::int64_t i, std::int64_t j) const {
    if (is_global(i) || j < global_tokens) {
      return true;
    }
    const std::int64_t offset = j - (i + M - L);
    const std::int64_t distance = offset < 0 ? -offset : offset;
    return distance <= reach() && distance % dilation == 0;
  }
  /// The four draws of which word (j >> key_shift) & 3 decides over query i and key j.
  BASIN_HOST_DEVICE std::array<std::uint32_t, 4> draws(std::int64_t b, std::int64_t h,
                                                       std::int64_t i, std::int64_t j) const {
    const auto row = static_cast<std::uint64_t>(i >> query_shift);
    const auto column = static_cast<std::uint64_t>(j >> key_shift);
    const std::uint64_t low = (row << 32) | (column >> 2);
    const std::uint64_t high =
        (static_cast<std::uint64_t>(b) << 32) | static_cast<std::uint64_t>(h);
    return philox(draw_key(), low, high);
  }
  BASIN_HOST_DEVICE bool drawn(std::int64_t b, std::int64_t h, std::int64_t i,
                               std::int64_t j) const {
    return !is_random() || draws(b, h, i, j)[(j >> key_shift) & 3] < keep_below;
  }
  BASIN_HOST_DEVICE bool in_mask(std::int64_t b, std::int64_t h, std::int64_t i,
                                 std::int64_t j) const {
    return mask == nullptr || mask[b * mask_batch_stride + h * mask_head_stride + i * M + j] != 0;
  }
  /// Everything but top-k.
  BASIN_HOST_DEVICE bool keep(std::int64_t b, std::int64_t h, std::int64_t i,
                              std::int64_t j) const {
    return j < prefix(b, i) && in_window(i, j) && in_mask(b, h, i, j) && drawn(b, h, i, j);
  }
  /// The k of top-k, at least 1; M where there is none.
  BASIN_HOST_DEVICE std::int64_t top_count(std::int64_t b) const {
    std::int64_t count = M;
    if (top_k > 0) {
      count = top_k;
    }
    if (top_fraction > 0) {
      const auto share =
          static_cast<std::int64_t>(top_fraction * static_cast<double>(length(b)) + 1e-9);
      count = share < count ? share : count;
    }
    return count < 1 ? 1 : count;
  }
};

/// Visibility::drawn() of one query, for keys in rising order: four neighbours share a call of
/// Philox.
class DrawsOfQuery {
 public:
  DrawsOfQuery(const Visibility& seen, std::int64_t b, std::int64_t h, std::int64_t i)
      : seen_(seen),
        row_(static_cast<std::uint64_t>(i >> seen.query_shift) << 32),
        high_((static_cast<std::uint64_t>(b) << 32) | static_cast<std::uint64_t>(h)) {}

  bool operator()(std::int64_t j) {
    if (!seen_.is_random()) {
      return true;
    }
    const auto column = static_cast<std::uint64_t>(j >> seen_.key_shift);
    if ((column >> 2) != block_) {
      block_ = column >> 2;
      words_ = philox(seen_.draw_key(), row_ | block_, high_);
    }
    return words_[column & 3] < seen_.keep_below;
  }

 private:
  const Visibility& seen_;
  std::uint64_t row_, high_;
  std::uint64_t block_ = ~std::uint64_t{0};
  std::array<std::uint32_t, 4> words_{};
};

/// Calls visit(j) for the keys that keep() allows, in rising order; a window costs what it sees.
template <class F>
void for_each_visible(const Visibility& s, std::int64_t b, std::int64_t h, std::int64_t i,
                      F&& visit) {
  const std::int64_t end = s.prefix(b, i);
  DrawsOfQuery drawn(s, b, h, i);
  const auto offer = [&](std::int64_t j) {
    if (s.in_mask(b, h, i, j) && drawn(j)) {
      visit(j);
    }
  };
  if (s.is_global(i)) {
    for (std::int64_t j = 0; j < end; ++j) {
      offer(j);
    }
    return;
  }
  const std::int64_t globals = s.global_tokens < end ? s.global_tokens : end;
  for (std::int64_t j = 0; j < globals; ++j) {
    offer(j);
  }
  const std::int64_t position = i + s.M - s.L;
  std::int64_t j = position - s.reach();
  if (j < globals) {
    // The first position of the window that is not below `globals`.
    j += (globals - j + s.dilation - 1) / s.dilation * s.dilation;
  }
  for (; j < end && j <= position + s.reach(); j += s.dilation) {
    offer(j);
  }
}

/// The probability as a bound for 32-bit draws; 1 keeps all.
inline std::uint64_t keep_bound(double probability) {  // NOLINTNEXTLINE: 0 is the least
  return static_cast<std::uint64_t>(probability * static_cast<double>(Visibility::kKeepAll) + 0.5);
}

/// Dropout of weights: each is kept with probability 1 - p and then divided by it, decided by
/// (key, b, h, i, j); of the last retrieval step alone.
struct WeightDropout {
  double p = 0.0;
  std::uint64_t key = 0;
  const std::uint64_t* key_pointer = nullptr;  ///< unless null, what it points to instead

  /// The four draws of which word j & 3 decides over query i and key j.
  BASIN_HOST_DEVICE std::array<std::uint32_t, 4> draws(std::int64_t b, std::int64_t h,
                                                       std::int64_t i, std::int64_t j) const {
    const std::uint64_t low =
        (static_cast<std::uint64_t>(i) << 32) | (static_cast<std::uint64_t>(j) >> 2);
    const std::uint64_t high =
        (static_cast<std::uint64_t>(b) << 32) | static_cast<std::uint64_t>(h);
    return philox(key_pointer == nullptr ? key : *key_pointer, low, high);
  }
  BASIN_HOST_DEVICE bool keeps(std::uint32_t draw) const {
    return static_cast<double>(uniform_from_word(draw)) >= p;
  }
  BASIN_HOST_DEVICE bool keeps(std::int64_t b, std::int64_t h, std::int64_t i,
                               std::int64_t j) const {
    return keeps(draws(b, h, i, j)[j & 3]);
  }
  BASIN_HOST_DEVICE double factor(std::int64_t b, std::int64_t h, std::int64_t i,
                                  std::int64_t j) const {
    return p == 0.0 ? 1.0 : (keeps(b, h, i, j) ? 1.0 / (1.0 - p) : 0.0);
  }
};

}  // namespace basin::kernels

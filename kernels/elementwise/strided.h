// Walking several strided arrays of the same extents row by row.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/common/thread_pool.h"
#include "kernels/elementwise/elementwise.h"

namespace basin::kernels {

/// Element strides of one operand.
using StrideRow = std::array<std::int64_t, kMaxRank>;

/// The extents of N operands with dimensions merged wherever every operand allows it, so that a
/// contiguous problem becomes one long row. What nvcc compiles as well is always inlined, so that
/// no name has two bodies.
template <int N>
struct StridedLoop {
  int rank = 0;
  std::array<std::int64_t, kMaxRank> extents{};
  std::array<StrideRow, N> strides{};

  [[gnu::always_inline]] StridedLoop(int in_rank, const std::int64_t* in_extents,
                                     const std::array<const std::int64_t*, N>& in_strides) {
    for (int d = 0; d < in_rank; ++d) {
      const auto at = static_cast<std::size_t>(d);
      if (in_extents[d] == 1) {
        continue;
      }
      bool merge = rank > 0;
      for (std::size_t n = 0; merge && n < N; ++n) {
        merge = strides[n][static_cast<std::size_t>(rank - 1)] == in_strides[n][at] * in_extents[d];
      }
      const auto target = static_cast<std::size_t>(merge ? rank - 1 : rank);
      extents[target] = merge ? extents[target] * in_extents[d] : in_extents[d];
      for (std::size_t n = 0; n < N; ++n) {
        strides[n][target] = in_strides[n][at];
      }
      rank += merge ? 0 : 1;
    }
    if (rank == 0) {  // a single element
      rank = 1;
      extents[0] = 1;
      for (std::size_t n = 0; n < N; ++n) {
        strides[n][0] = 1;
      }
    }
  }

  [[gnu::always_inline]] std::int64_t row_length() const {
    return extents[static_cast<std::size_t>(rank - 1)];
  }

  [[gnu::always_inline]] std::int64_t rows() const {
    std::int64_t product = 1;
    for (int d = 0; d + 1 < rank; ++d) {
      product *= extents[static_cast<std::size_t>(d)];
    }
    return product;
  }

  /// Calls `function(offsets, row, strides_of_row, begin, end)` for pieces of rows. `offsets` are
  /// the element offsets of the row starts, `begin` and `end` positions inside the row.
  template <class F>
  void run(const CpuContext& context, F&& function) const {
    const std::int64_t length = row_length();
    const std::int64_t count = rows() * length;
    constexpr std::int64_t grain = 16384;
    for_ranges(context, count, grain, [&](std::int64_t begin, std::int64_t end) {
      std::int64_t at = begin;
      while (at < end) {
        const std::int64_t row = at / length;
        const std::int64_t from = at - row * length;
        const std::int64_t to = std::min(length, from + (end - at));
        std::array<std::int64_t, N> offsets{};
        std::int64_t rest = row;
        for (int d = rank - 2; d >= 0; --d) {
          const auto dim = static_cast<std::size_t>(d);
          const std::int64_t index = rest % extents[dim];
          rest /= extents[dim];
          for (std::size_t n = 0; n < N; ++n) {
            offsets[n] += index * strides[n][dim];
          }
        }
        function(offsets, row, from, to);
        at += to - from;
      }
    });
  }

  [[gnu::always_inline]] std::int64_t row_stride(std::size_t operand) const {
    return strides[operand][static_cast<std::size_t>(rank - 1)];
  }
};

}  // namespace basin::kernels

// How the association kernels address (batch, head, row, :) arrays.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/common/qualifiers.h"

namespace basin::kernels {

/// A (B, H, rows, width) array whose innermost stride is 1 and whose row_stride is at least its
/// width (OpenBLAS reads it as a matrix). The other strides are free, so that the heads of a (B, L,
/// H * D) projection are read in place and one query can serve a whole batch.
struct HeadView {
  void* data = nullptr;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;

  template <class T>
  BASIN_HOST_DEVICE T* head(std::int64_t b, std::int64_t h) const {
    return static_cast<T*>(data) + b * batch_stride + h * head_stride;
  }
};

inline bool rows_fit(const HeadView& view, std::int64_t rows, std::int64_t width) {
  return rows == 0 || view.row_stride >= width;
}

/// Causality and padding leave each query a prefix of the keys: query i of batch item b sees keys
/// 0 ... count - 1. `key_lengths` may be null (no padding); a length outside [0, M] is clamped.
inline std::int64_t visible_keys(const std::int64_t* key_lengths, std::int64_t b, bool causal,
                                 std::int64_t i, std::int64_t L, std::int64_t M) {
  std::int64_t count = M;
  if (key_lengths != nullptr) {
    count = std::clamp<std::int64_t>(key_lengths[b], 0, M);
  }
  if (causal) {
    count = std::clamp<std::int64_t>(i + M - L + 1, 0, count);
  }
  return count;
}

/// to[h] = the sum over b of from[b H + h], in order; nothing if `to` is null.
template <class T>
void sum_over_items(std::int64_t B, std::int64_t H, const double* from, void* to) {
  for (std::int64_t h = 0; to != nullptr && h < H; ++h) {
    double total = 0;
    for (std::int64_t b = 0; b < B; ++b) {
      total += from[b * H + h];
    }
    static_cast<T*>(to)[h] = static_cast<T>(total);
  }
}

}  // namespace basin::kernels

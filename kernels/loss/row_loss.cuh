// What the losses do to one row of logits on a GPU: a block for a row.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/common/block_reduce.cuh"
#include "kernels/common/math.h"
#include "kernels/common/pack.cuh"

namespace basin::kernels {

/// Calls function(Width<W>, first) for packs and function(Width<1>, element) for the elements in
/// front of and behind them: rows of 50257 numbers seldom begin at a multiple of a pack.
template <class T, class F>
BASIN_DEVICE inline void for_elements_of_row(const T* x, std::int64_t count, bool packs,
                                             F&& function) {
  constexpr int kWidth = pack_width(sizeof(T));
  std::int64_t head = count;
  std::int64_t tail = count;
  if (packs) {
    const auto beyond = static_cast<int>(reinterpret_cast<std::uintptr_t>(x) / sizeof(T) % kWidth);
    const int to_next = (kWidth - beyond) % kWidth;
    head = to_next < count ? to_next : count;
    tail = head + (count - head) / kWidth * kWidth;
  }
  for (std::int64_t i = threadIdx.x; i < head; i += blockDim.x) {
    function(Width<1>{}, i);
  }
  for (std::int64_t i = head + std::int64_t{threadIdx.x} * kWidth; i < tail;
       i += std::int64_t{blockDim.x} * kWidth) {
    function(Width<kWidth>{}, i);
  }
  for (std::int64_t i = tail + threadIdx.x; i < count; i += blockDim.x) {
    function(Width<1>{}, i);
  }
}

template <class T>
struct RowSums {
  T lse;  ///< ln of the sum of e^x
  T sum;  ///< of x, if it was asked for
};

/// For every thread of the block. The row is read once: a thread keeps the largest number so far
/// and the sum of exponentials below it, which shrinks when a larger one comes.
template <class T>
BASIN_DEVICE inline RowSums<T> sums_of_row(const T* x, std::int64_t count, bool with_sum) {
  const T nothing = Maximum::identity<T>();
  T top = nothing;
  T exponentials = 0;
  T sum = 0;
  // e^-inf makes the 0 of what was hidden; -inf - -inf would make NaN.
  const auto below = [nothing](T value, T shift) {
    return exp_of(value - (shift == nothing ? T(0) : shift));
  };
  for_elements_of_row(x, count, true, [&](auto width, std::int64_t at) {
    constexpr int kHere = decltype(width)::value;
    const auto values = load_pack<kHere>(x + at);
    T higher = top;
    for (int k = 0; k < kHere; ++k) {
      higher = Maximum::of(higher, values.at[k]);
    }
    if (!(higher == top)) {
      exponentials *= below(top, higher);
      top = higher;
    }
    for (int k = 0; k < kHere; ++k) {
      exponentials += below(values.at[k], top);
      sum += values.at[k];
    }
  });
  const T shift = block_reduce<Maximum>(top);
  const T total = block_reduce<Sum>(exponentials * below(top, shift));
  return {shift + std::log(total), with_sum ? block_reduce<Sum>(sum) : T(0)};
}

/// The loss of a row, from its sums.
template <class T>
BASIN_DEVICE inline T loss_of_row(const RowSums<T>& sums, T at_target, std::int64_t count,
                                  T smoothing) {
  // lse - x rather than -log p: with x far above the rest this is 0, never -0 or NaN.
  const T loss = sums.lse - at_target;
  return smoothing == T(0) ? loss
                           : (T(1) - smoothing) * loss +
                                 smoothing * (sums.lse - sums.sum / static_cast<T>(count));
}

/// dx[c] = scale (e^(x[c] - lse) - even - hit [c = target]); dx may be x.
template <class T>
BASIN_DEVICE inline void slopes_of_row(const T* x, T* dx, std::int64_t count, std::int64_t target,
                                       T lse, T scale, T even, T hit) {
  const bool packs =
      (reinterpret_cast<std::uintptr_t>(x) - reinterpret_cast<std::uintptr_t>(dx)) % 16 == 0;
  for_elements_of_row(x, count, packs, [&](auto width, std::int64_t at) {
    constexpr int kHere = decltype(width)::value;
    auto values = load_pack<kHere>(x + at);
    for (int k = 0; k < kHere; ++k) {
      const T slope = scale * (exp_of(values.at[k] - lse) - even);
      values.at[k] = at + k == target ? slope - scale * hit : slope;
    }
    store_pack<kHere>(dx + at, values);
  });
}

/// dx[c] = value.
template <class T>
BASIN_DEVICE inline void fill_row(T* dx, std::int64_t count, T value) {
  for_elements_of_row(dx, count, true, [&](auto width, std::int64_t at) {
    constexpr int kHere = decltype(width)::value;
    Pack<T, kHere> values;
    for (int k = 0; k < kHere; ++k) {
      values.at[k] = value;
    }
    store_pack<kHere>(dx + at, values);
  });
}

}  // namespace basin::kernels

// Neighbouring elements that move in one access of up to 16 bytes, the widest that a GPU has.
// (Functions of the host in here are static: nvcc and the C++ compiler both compile them, and the
// linker must not have to choose.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/common/device.h"

namespace basin::kernels {

/// Elements that one access moves when the largest type of a kernel has `bytes` bytes.
constexpr int pack_width(std::size_t bytes) { return static_cast<int>(16 / bytes); }

template <class T, int W>
struct alignas(sizeof(T) * W) Pack {
  T at[W];
};

/// x[0 ... W - 1], which must lie at a multiple of their size.
template <int W, class T>
BASIN_DEVICE inline Pack<T, W> load_pack(const T* x) {
  expect_aligned(x, sizeof(Pack<T, W>));
  return *reinterpret_cast<const Pack<T, W>*>(x);
}

template <int W, class T>
BASIN_DEVICE inline void store_pack(T* y, const Pack<T, W>& values) {
  expect_aligned(y, sizeof(Pack<T, W>));
  *reinterpret_cast<Pack<T, W>*>(y) = values;
}

/// Whether packs of W can be loaded from x.
template <int W, class T>
static bool fits_packs(const T* x) {
  return reinterpret_cast<std::uintptr_t>(x) % (sizeof(T) * W) == 0;
}

/// The same for several arrays, in device code.
template <int W, class... T>
BASIN_DEVICE inline bool all_at_packs(const T*... x) {
  return ((reinterpret_cast<std::uintptr_t>(x) % (sizeof(T) * W) == 0) && ...);
}

/// How many whole packs of W the kernel may use for `count` elements of contiguous arrays: none
/// unless every array lies at a multiple of a pack.
template <int W, class... T>
static std::int64_t packs_of(std::int64_t count, const T*... arrays) {
  return (fits_packs<W>(arrays) && ...) ? count / W : 0;
}

template <int W>
using Width = std::integral_constant<int, W>;

/// Calls function(Width<W>, first element) for each pack and function(Width<1>, element) for what
/// is left of `count`; the threads of the grid take turns, so that neighbouring threads touch
/// neighbouring packs.
template <int W, class F>
BASIN_DEVICE inline void for_each_pack(std::int64_t count, std::int64_t packs, F&& function) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t first = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (std::int64_t pack = first; pack < packs; pack += step) {
    function(Width<W>{}, pack * W);
  }
  for (std::int64_t i = packs * W + first; i < count; i += step) {
    function(Width<1>{}, i);
  }
}

/// How many calls for_each_pack makes: the threads that have work.
constexpr std::int64_t pack_calls(std::int64_t count, std::int64_t packs, int width) {
  return std::max<std::int64_t>(packs, count - packs * width);
}

/// y[i] = f(x[i], ...) by packs.
template <int W, class F, class Y, class... X>
BASIN_DEVICE inline void map_packs(std::int64_t count, std::int64_t packs, F f, Y* y,
                                   const X*... x) {
  for_each_pack<W>(count, packs, [&](auto width, std::int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    Pack<Y, kWidth> result;
    [&](const auto&... values) {
      for (int k = 0; k < kWidth; ++k) {
        result.at[k] = f(values.at[k]...);
      }
    }(load_pack<kWidth>(x + at)...);
    store_pack<kWidth>(y + at, result);
  });
}

}  // namespace basin::kernels

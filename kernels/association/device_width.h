// From a head width at run time to the padded one that a kernel for a GPU is compiled for.
#pragma once

#include <cstdint>

#include "kernels/common/status.h"

namespace basin::kernels {

/// Calls `function.template operator()<W>()` with the smallest W in {32, 64, 128, 256} that is at
/// least `width`; f64, which exists for checks, has 64 and 256, and without `kNarrow` there is no
/// 32.
template <class T, bool kNarrow = true, class F>
Status dispatch_width(std::int64_t width, F&& function) {
  if constexpr (sizeof(T) == 4) {
    if constexpr (kNarrow) {
      if (width <= 32) {
        return function.template operator()<32>();
      }
    }
    if (width > 64 && width <= 128) {
      return function.template operator()<128>();
    }
  }
  if (width <= 64) {
    return function.template operator()<64>();
  }
  if (width <= 256) {
    return function.template operator()<256>();
  }
  return Status::unsupported("attention: on a GPU a head is at most 256 wide");
}

}  // namespace basin::kernels

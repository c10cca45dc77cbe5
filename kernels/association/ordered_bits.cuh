// Numbers as whole numbers of the same order, to be searched bit by bit.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/common/qualifiers.h"

namespace basin::kernels {

namespace {

/// NaN lies beyond the infinities, -0 just below 0.
template <class T>
struct Ordered {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  static constexpr int kBits = 8 * sizeof(T);
  static constexpr Bits kSign = Bits{1} << (kBits - 1);
  static constexpr Bits kMost = ~Bits{0};

  BASIN_DEVICE static Bits of(T x) {
    const Bits bits = std::bit_cast<Bits>(x);
    return (bits & kSign) != 0 ? ~bits : bits | kSign;
  }
  BASIN_DEVICE static T number(Bits bits) {
    return std::bit_cast<T>((bits & kSign) != 0 ? bits & ~kSign : ~bits);
  }
};

}  // namespace

}  // namespace basin::kernels

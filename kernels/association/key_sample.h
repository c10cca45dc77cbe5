// A sample of the keys that depends on nothing but their numbers.
#pragma once

#include <cstdint>

#include "kernels/common/qualifiers.h"

namespace basin::kernels {

/// Whether key j is in a sample of about below / 2^32 of all keys. Multiples of the golden ratio,
/// modulo 1, spread evenly whatever their number (H. Weyl 1916), and of no period that keys have.
BASIN_HOST_DEVICE constexpr bool is_sampled(std::int64_t j, std::uint64_t below) {
  constexpr std::uint32_t kGoldenRatio = 0x9E3779B1u;  // of 2^32, odd
  return std::uint64_t{static_cast<std::uint32_t>(j) * kGoldenRatio} < below;
}

}  // namespace basin::kernels

// Conversion of the two 16-bit storage formats, by bits, so that it needs no hardware support.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/common/precision.h"
#include "kernels/common/qualifiers.h"

namespace basin::kernels {

/// bfloat16: the upper half of an f32.
struct BFloat16 {
  std::uint16_t bits;
};

/// IEEE 754 binary16.
struct Float16 {
  std::uint16_t bits;
};

BASIN_HOST_DEVICE inline float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// Rounds to nearest even; NaN stays NaN.
BASIN_HOST_DEVICE inline BFloat16 to_bfloat16(float value) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
    return {static_cast<std::uint16_t>((bits >> 16) | 0x0040u)};
  }
  bits += 0x7FFFu + ((bits >> 16) & 1u);
  return {static_cast<std::uint16_t>(bits >> 16)};
}

BASIN_HOST_DEVICE inline float to_float(Float16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1Fu;
  const std::uint32_t fraction = value.bits & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 5.9604644775390625e-8f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  if (exponent == 31) {
    return std::bit_cast<float>(sign | 0x7F800000u | (fraction << 13));
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

/// Rounds to nearest even; values beyond 65504 become infinite; NaN stays NaN.
BASIN_HOST_DEVICE inline Float16 to_float16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) {
    return {static_cast<std::uint16_t>(sign | 0x7E00u)};
  }
  if (magnitude >= 0x477FF000u) {  // 65520 and above round to infinity
    return {static_cast<std::uint16_t>(sign | 0x7C00u)};
  }
  if (magnitude < 0x38800000u) {  // below 2^-14: let the f32 adder round to a multiple of 2^-24
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return {
        static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(rounded) - 0x3F000000u))};
  }
  const std::uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

/// `value` with the lowest kCut of its 24 significant bits rounded away, to nearest even. NaN stays
/// NaN; what rounds beyond the largest number becomes infinite.
template <int kCut>
BASIN_HOST_DEVICE inline float without_low_bits(float value) {
  constexpr std::uint32_t kKept = ~((1u << kCut) - 1u);
  std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
    return std::bit_cast<float>((bits | 0x00400000u) & kKept);
  }
  bits += (1u << (kCut - 1)) - 1u + ((bits >> kCut) & 1u);
  return std::bit_cast<float>(bits & kKept);
}

/// How many of the 24 significant bits of an f32 a precision leaves out.
template <Precision kPrecision>
inline constexpr int kCutBits = kPrecision == Precision::tf32 ? 13 : 16;

/// The f32 next to `value` towards zero, with its last bit set if anything was cut off. Rounding
/// this once more, to fewer bits, gives what rounding `value` directly would; two roundings to
/// nearest would not (S. Boldo, G. Melquiond 2008).
BASIN_HOST_DEVICE inline float round_to_odd(double value) {
  const float nearest = static_cast<float>(value);
  const double back = static_cast<double>(nearest);
  if (back == value || value != value) {
    return nearest;
  }
  std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest);
  bits -= std::abs(back) > std::abs(value) ? 1u : 0u;
  return std::bit_cast<float>(bits | 1u);
}

BASIN_HOST_DEVICE inline BFloat16 to_bfloat16(double value) {
  return to_bfloat16(round_to_odd(value));
}
BASIN_HOST_DEVICE inline Float16 to_float16(double value) {
  return to_float16(round_to_odd(value));
}

}  // namespace basin::kernels

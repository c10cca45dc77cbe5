// Scalar mathematics that the compiler can vectorise. The f32 versions are branch-free
// polynomials (a libm call in a loop body would keep the loop scalar); f64, which exists for
// checks, uses libm. Always inlined: a loop that is compiled for wide registers must not call a
// copy that is not. Device code uses the same functions.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/common/qualifiers.h"

namespace basin::kernels {

[[gnu::always_inline]] BASIN_HOST_DEVICE inline double exp_of(double x) { return std::exp(x); }

/// e^x for f32 within 2 ulp. x = n ln2 + r, |r| <= ln2 / 2; e^r by its Taylor series to the 7th
/// power (remainder below 2^-26); 2^n by writing the exponent in two halves, so that results below
/// the smallest normal number (x < -87.3) become subnormal gradually and 0 below -104. Keeps +inf
/// and NaN.
[[gnu::always_inline]] BASIN_HOST_DEVICE inline float exp_of(float x) {
  const float clamped = x < -104.0f ? -104.0f : (x > 89.0f ? 89.0f : x);
  const float scaled = clamped * 1.44269504088896341f;
  // Adding 1.5 * 2^23 rounds to the nearest integer without a function call.
  const float n = (scaled + 12582912.0f) - 12582912.0f;
  // ln2 in two parts: the first has few bits, so n * part is exact.
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // NaN reaches this point as NaN in r and p; the integer below is then meaningless but harmless.
  const std::int32_t exponent = static_cast<std::int32_t>(n == n ? n : 0.0f);
  const std::int32_t half = exponent >> 1;
  const float scale1 = std::bit_cast<float>((half + 127) << 23);
  const float scale2 = std::bit_cast<float>((exponent - half + 127) << 23);
  return p * scale1 * scale2;
}

[[gnu::always_inline]] BASIN_HOST_DEVICE inline double tanh_of(double x) { return std::tanh(x); }

/// tanh for f32: odd Taylor-like rational near 0 would need two branches, so use
/// (e^2x - 1) / (e^2x + 1) away from 0 and the series x - x^3/3 + 2x^5/15 - 17x^7/315 below 0.25,
/// both computed and one selected. Absolute error below 2e-7.
[[gnu::always_inline]] BASIN_HOST_DEVICE inline float tanh_of(float x) {
  const float a = x < 0 ? -x : x;
  const float clamped = a > 10.0f ? 10.0f : a;
  const float e = exp_of(2.0f * clamped);
  const float far = 1.0f - 2.0f / (e + 1.0f);
  const float s = x * x;
  const float near =
      a * (1.0f +
           s * (-1.0f / 3.0f + s * (2.0f / 15.0f + s * (-17.0f / 315.0f + s * (62.0f / 2835.0f)))));
  const float magnitude = a < 0.25f ? near : (a == a ? far : a);
  return x < 0 ? -magnitude : magnitude;
}

[[gnu::always_inline]] BASIN_HOST_DEVICE inline double erf_of(double x) { return std::erf(x); }

/// erf for f32: formula 7.1.26 of Abramowitz and Stegun (error 1.5e-7 before rounding) from 0.5 on
/// and the Taylor series to x^13 below, where that formula would cancel. Absolute error below 3e-7,
/// and a few ulp below 0.5.
[[gnu::always_inline]] BASIN_HOST_DEVICE inline float erf_of(float x) {
  const float a = x < 0 ? -x : x;
  const float t = 1.0f / (1.0f + 0.3275911f * a);
  const float p =
      t * (0.254829592f +
           t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  const float far = 1.0f - p * exp_of(-a * a);
  const float s = a * a;
  float series = -1.0f / 75600.0f;
  series = series * s + 1.0f / 9360.0f;
  series = series * s - 1.0f / 1320.0f;
  series = series * s + 1.0f / 216.0f;
  series = series * s - 1.0f / 42.0f;
  series = series * s + 1.0f / 10.0f;
  series = series * s - 1.0f / 3.0f;
  const float near = 1.12837916709551257f * (a * (1.0f + series * s));
  const float magnitude = a < 0.75f ? near : far;
  return x < 0 ? -magnitude : magnitude;
}

}  // namespace basin::kernels

// GELU, x Phi(x) with Phi the normal distribution (D. Hendrycks and K. Gimpel 2016), and its
// derivative, number by number, for host and device. simd/gelu-inl.h has the same for vectors.
#pragma once

#include "kernels/common/math.h"
#include "kernels/common/qualifiers.h"

namespace basin::kernels {

// Phi(x), the normal distribution, given e^(-x^2/2). f32: formula 7.1.26 of Abramowitz and Stegun,
// here without the series that erf_of() needs near 0: what cancels in erf is of no weight beside
// 1/2. Error below 1e-7.
[[gnu::always_inline]] BASIN_HOST_DEVICE inline float normal_cdf(float x, float e) {
  const float a = x < 0.0f ? -x : x;
  const float t = 1.0f / (1.0f + 0.23164189f * a);  // 0.3275911 / sqrt(2)
  const float p =
      t * (0.254829592f +
           t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  const float tail = 0.5f * p * e;
  return x < 0.0f ? tail : 1.0f - tail;
}
[[gnu::always_inline]] BASIN_HOST_DEVICE inline double normal_cdf(double x, double) {
  return 0.5 * (1.0 + erf_of(x * 0.70710678118654752440));
}
template <class T>
[[gnu::always_inline]] BASIN_HOST_DEVICE inline T gelu_value(T x) {
  return x * normal_cdf(x, exp_of(T(-0.5) * x * x));
}
// Phi(x) + x Phi'(x), Phi'(x) = e^(-x^2/2) / sqrt(2 pi).
template <class T>
[[gnu::always_inline]] BASIN_HOST_DEVICE inline T gelu_derivative(T x) {
  const T e = exp_of(T(-0.5) * x * x);
  return normal_cdf(x, e) + x * (T(0.39894228040143267794) * e);
}

}  // namespace basin::kernels

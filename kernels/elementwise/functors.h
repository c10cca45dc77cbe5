// The table lines as compile-time functors: one struct per operation with value and derivative.
#pragma once

#include <cmath>

#include "kernels/common/math.h"
#include "kernels/common/qualifiers.h"
#include "kernels/common/status.h"
#include "kernels/elementwise/elementwise.h"

namespace basin::kernels::functors {

template <class T>
[[gnu::always_inline]] BASIN_HOST_DEVICE inline T sigmoid_value(T x) {
  return T(1) / (T(1) + exp_of(-x));
}
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
// The argument of the tanh in the approximation of GELU (Hendrycks and Gimpel 2016).
template <class T>
[[gnu::always_inline]] BASIN_HOST_DEVICE inline T gelu_inner(T x) {
  return T(0.79788456080286535588) * (x + T(0.044715) * x * x * x);
}
template <class T>
[[gnu::always_inline]] BASIN_HOST_DEVICE inline T gelu_tanh_derivative(T x) {
  const T t = tanh_of(gelu_inner(x));
  const T inner_derivative = T(0.79788456080286535588) * (T(1) + T(3 * 0.044715) * x * x);
  return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * inner_derivative;
}

#define BASIN_UNARY(op, formula, low, high, value_, derivative_)                         \
  struct unary_##op {                                                                    \
    template <class T>                                                                   \
    [[gnu::always_inline]] BASIN_HOST_DEVICE static T value(T x) {                       \
      return value_;                                                                     \
    }                                                                                    \
    template <class T>                                                                   \
    [[gnu::always_inline]] BASIN_HOST_DEVICE static T derivative([[maybe_unused]] T x,   \
                                                                 [[maybe_unused]] T y) { \
      return derivative_;                                                                \
    }                                                                                    \
  };
#include "kernels/elementwise/unary_table.inc"
#undef BASIN_UNARY

#define BASIN_BINARY(op, formula, low, high, value_, da_, db_)                  \
  struct binary_##op {                                                          \
    template <class T>                                                          \
    BASIN_HOST_DEVICE static T value(T a, T b) {                                \
      return value_;                                                            \
    }                                                                           \
    template <class T>                                                          \
    BASIN_HOST_DEVICE static T da([[maybe_unused]] T a, [[maybe_unused]] T b) { \
      return da_;                                                               \
    }                                                                           \
    template <class T>                                                          \
    BASIN_HOST_DEVICE static T db([[maybe_unused]] T a, [[maybe_unused]] T b) { \
      return db_;                                                               \
    }                                                                           \
  };
#include "kernels/elementwise/binary_table.inc"
#undef BASIN_BINARY

/// Calls `function(functor)` with the functor of `op`.
template <class F>
Status dispatch(UnaryOp op, F&& function) {
  switch (op) {
#define BASIN_UNARY(name, formula, low, high, value, derivative) \
  case UnaryOp::name:                                            \
    return function(unary_##name{});
#include "kernels/elementwise/unary_table.inc"
#undef BASIN_UNARY
    case UnaryOp::count: break;
  }
  return Status::invalid("unknown unary operation");
}

template <class F>
Status dispatch(BinaryOp op, F&& function) {
  switch (op) {
#define BASIN_BINARY(name, formula, low, high, value, da, db) \
  case BinaryOp::name:                                        \
    return function(binary_##name{});
#include "kernels/elementwise/binary_table.inc"
#undef BASIN_BINARY
    case BinaryOp::count: break;
  }
  return Status::invalid("unknown binary operation");
}

}  // namespace basin::kernels::functors

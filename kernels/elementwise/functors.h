// The table lines as compile-time functors: one struct per operation with value and derivative.
#pragma once

#include <cmath>

#include "kernels/common/gelu.h"
#include "kernels/common/math.h"
#include "kernels/common/qualifiers.h"
#include "kernels/common/status.h"
#include "kernels/elementwise/elementwise.h"

namespace basin::kernels::functors {

template <class T>
[[gnu::always_inline]] BASIN_HOST_DEVICE inline T sigmoid_value(T x) {
  return T(1) / (T(1) + exp_of(-x));
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

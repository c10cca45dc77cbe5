// What several kernels do to one row in memory: maximum, sum of exponentials, dot product. Each
// keeps eight partial results, which the compiler can hold in vector registers and which makes the
// order of additions part of the definition.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/common/math.h"

namespace basin::kernels {

inline constexpr int kLanes = 8;

template <class T>
T add_lanes(const T (&lane)[kLanes]) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/// The largest element; -inf for an empty row.
template <class T>
T row_max(const T* x, std::int64_t count) {
  T best = -std::numeric_limits<T>::infinity();
  for (std::int64_t i = 0; i < count; ++i) {
    best = x[i] > best ? x[i] : best;
  }
  return best;
}

/// Sum of x[i] y[i].
template <class T>
T row_dot(const T* x, const T* y, std::int64_t count) {
  T lane[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      lane[l] += x[i + l] * y[i + l];
    }
  }
  for (; i < count; ++i) {
    lane[0] += x[i] * y[i];
  }
  return add_lanes(lane);
}

/// y[i] = exp(x[i] - shift), and returns the sum. y may be x.
template <class T>
T row_exp(const T* x, T* y, std::int64_t count, T shift) {
  T lane[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const T value = exp_of(x[i + l] - shift);
      y[i + l] = value;
      lane[l] += value;
    }
  }
  for (; i < count; ++i) {
    y[i] = exp_of(x[i] - shift);
    lane[0] += y[i];
  }
  return add_lanes(lane);
}

/// y[i] += scale x[i].
template <class T>
void row_add(T* y, const T* x, std::int64_t count, T scale) {
  for (std::int64_t i = 0; i < count; ++i) {
    y[i] += scale * x[i];
  }
}

}  // namespace basin::kernels

// Mean and variance of a row in one pass, over a warp.
#pragma once

#include "kernels/common/device.h"

namespace basin::kernels {

/// Mean and sum of squared deviations of `count` numbers.
template <class T>
struct Moments {
  T count = 0;
  T mean = 0;
  T squares = 0;

  // One more number (B. P. Welford 1962).
  BASIN_DEVICE void add(T x) {
    count += T(1);
    const T before = x - mean;
    mean += before / count;
    squares += before * (x - mean);
  }

  // The numbers of another part (T. Chan, G. Golub, R. LeVeque 1979).
  BASIN_DEVICE void add(const Moments& other) {
    const T total = count + other.count;
    if (total == T(0)) {
      return;
    }
    const T between = other.mean - mean;
    const T share = other.count / total;
    mean += between * share;
    squares += other.squares + between * between * count * share;
    count = total;
  }
};

/// The moments of what all lanes have, for every lane.
template <class T>
BASIN_DEVICE Moments<T> over_warp(Moments<T> m) {
  for (unsigned distance = kWarpSize / 2; distance > 0; distance /= 2) {
    Moments<T> other;
    other.count = __shfl_down_sync(kAllLanes, m.count, distance);
    other.mean = __shfl_down_sync(kAllLanes, m.mean, distance);
    other.squares = __shfl_down_sync(kAllLanes, m.squares, distance);
    m.add(other);
  }
  // Upper lanes have added some of their own numbers twice; the lowest has added each once.
  m.count = __shfl_sync(kAllLanes, m.count, 0);
  m.mean = __shfl_sync(kAllLanes, m.mean, 0);
  m.squares = __shfl_sync(kAllLanes, m.squares, 0);
  return m;
}

}  // namespace basin::kernels

// Comparing tensors: to the bit, and by the largest difference.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tensor/tensor.h"

namespace basin::test {

/// The same shape, dtype and bits: two NaN of the same bits are equal, 0 and -0 are not. Two
/// undefined tensors are the same.
inline bool same_bits(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) {
    return a.defined() == b.defined();
  }
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
    return false;
  }
  const Tensor x = a.contiguous();
  const Tensor y = b.contiguous();
  const auto bytes = static_cast<std::size_t>(x.numel()) * size_of(x.dtype());
  return bytes == 0 || std::memcmp(x.raw(), y.raw(), bytes) == 0;
}

inline bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  bool same = a.size() == b.size();
  for (std::size_t n = 0; same && n < a.size(); ++n) {
    same = same_bits(a[n], b[n]);
  }
  return same;
}

/// The largest absolute difference; NaN if there is one on either side, infinite for other shapes.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape())) {
    return std::numeric_limits<double>::infinity();
  }
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  double worst = 0;
  for (std::size_t n = 0; n < x.size(); ++n) {
    const double difference = std::abs(x[n] - y[n]);
    if (std::isnan(difference)) {
      return difference;
    }
    worst = std::max(worst, difference);
  }
  return worst;
}

}  // namespace basin::test

#include "nn/memories/binary_patterns.h"

#include <cstddef>
#include <vector>

#include "kernels/common/dispatch.h"
#include "kernels/memory/recall.h"
#include "tensor/check.h"

namespace basin::nn {

Tensor random_signs(const Shape& shape, Rng& rng, DType dtype) {
  Tensor signs = rng.uniform(shape, -1.0, 1.0, dtype);
  check(kernels::dispatch_floating(dtype,
                                   [&]<class T>(T) {
                                     T* data = signs.mutable_data<T>();
                                     for (std::int64_t i = 0; i < signs.numel(); ++i) {
                                       data[i] = data[i] < 0 ? T(-1) : T(1);
                                     }
                                     return kernels::Status{};
                                   }),
        "random_signs", signs);
  return signs;
}

Tensor flip_units(const Tensor& patterns, std::int64_t count, Rng& rng) {
  check_same_floating("flip_units", patterns);
  cpu_only("flip_units", patterns);
  if (patterns.rank() < 1 || count < 0 || count > patterns.size(-1)) {
    fail("[flip_units] cannot flip {} units in each row of {}", count, describe(patterns));
  }
  const std::int64_t width = patterns.size(-1);
  const std::int64_t rows = width == 0 ? 0 : patterns.numel() / width;
  Tensor flipped = patterns.clone();
  const std::uint64_t key = rng.key();
  const std::uint64_t stream = rng.next_stream();
  std::vector<std::int32_t> order(static_cast<std::size_t>(width));
  check(kernels::dispatch_floating(
            patterns.dtype(),
            [&]<class T>(T) {
              T* data = flipped.mutable_data<T>();
              for (std::int64_t row = 0; row < rows; ++row) {
                // The first `count` units of a random order.
                kernels::sweep_order(RecallOrder::random, key, stream,
                                     static_cast<std::uint64_t>(row), order.data(), width);
                for (std::int64_t n = 0; n < count; ++n) {
                  T& unit = data[row * width + order[static_cast<std::size_t>(n)]];
                  unit = -unit;
                }
              }
              return kernels::Status{};
            }),
        "flip_units", patterns);
  return flipped;
}

Tensor equal_units(const Tensor& a, const Tensor& b) {
  check_same_floating("equal_units", a, b);
  cpu_only("equal_units", a);
  if (!(a.shape() == b.shape()) || a.rank() < 1 || a.size(-1) == 0) {
    fail("[equal_units] needs two tensors of one shape (..., N), got {} and {}", describe(a),
         describe(b));
  }
  const std::int64_t width = a.size(-1);
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  std::vector<double> shares(x.size() / static_cast<std::size_t>(width));
  for (std::size_t row = 0; row < shares.size(); ++row) {
    std::int64_t equal = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(width); ++i) {
      const std::size_t n = row * static_cast<std::size_t>(width) + i;
      equal += x[n] == y[n] ? 1 : 0;
    }
    shares[row] = static_cast<double>(equal) / static_cast<double>(width);
  }
  Shape shape = a.shape();
  shape.erase(shape.rank() - 1);
  return Tensor::from(shape, shares);
}

}  // namespace basin::nn

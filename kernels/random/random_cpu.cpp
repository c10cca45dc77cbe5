#include <cmath>
#include <numbers>

#include "kernels/common/dispatch.h"
#include "kernels/common/philox.h"
#include "kernels/random/random.h"

namespace basin::kernels {

namespace {

// In (0, 1): the logarithm below must not see 0.
double open_uniform(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 20) | (low >> 12);
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

}  // namespace

Status random_fill(const RandomFill& p, const CpuContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    T* y = static_cast<T*>(p.y);
    // Rounding can reach b, which does not belong to the interval.
    const T end_of_interval = static_cast<T>(p.b);
    const T last = std::nextafter(end_of_interval, static_cast<T>(p.a));
    const auto uniform = [&](double u) {
      const T value = static_cast<T>(p.a + (p.b - p.a) * u);
      return value == end_of_interval ? last : value;
    };
    // One block makes two doubles, hence two elements.
    for_ranges(context, (p.count + 1) / 2, 4096, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t pair = begin; pair < end; ++pair) {
        const auto w = philox(p.key, static_cast<std::uint64_t>(pair), p.stream);
        const double u = open_uniform(w[0], w[1]);
        const double v = open_uniform(w[2], w[3]);
        T first = 0;
        T second = 0;
        if (p.distribution == Distribution::uniform) {
          first = uniform(u);
          second = uniform(v);
        } else {
          const double radius = std::sqrt(-2.0 * std::log(u));
          const double angle = 2.0 * std::numbers::pi * v;
          first = static_cast<T>(p.a + p.b * radius * std::cos(angle));
          second = static_cast<T>(p.a + p.b * radius * std::sin(angle));
        }
        y[2 * pair] = first;
        if (2 * pair + 1 < p.count) {
          y[2 * pair + 1] = second;
        }
      }
    });
    return Status{};
  });
}

}  // namespace basin::kernels

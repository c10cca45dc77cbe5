// Random numbers on a GPU: a thread makes the two elements of a Philox block.
#include "kernels/random/random.h"

#include <cmath>
#include <numbers>

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"
#include "kernels/common/pack.cuh"
#include "kernels/common/philox.h"

namespace basin::kernels {

namespace {

// In (0, 1), as in random_cpu.cpp.
BASIN_DEVICE double open_uniform(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 20) | (low >> 12);
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

// Products and sums are rounded one by one, so that nvcc makes the numbers of the CPU. `end` does
// not belong to the interval and rounding can reach it: `last` is the number before it.
template <class T>
BASIN_KERNEL void fill_kernel(RandomFill p, T end, T last, bool packs) {
  T* const y = static_cast<T*>(p.y);
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  const auto uniform = [&](double u) {
    const T value = static_cast<T>(__dadd_rn(p.a, __dmul_rn(p.b - p.a, u)));
    return value == end ? last : value;
  };
  for (std::int64_t pair = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; 2 * pair < p.count;
       pair += step) {
    const auto w = philox(p.key, static_cast<std::uint64_t>(pair), p.stream);
    const double u = open_uniform(w[0], w[1]);
    const double v = open_uniform(w[2], w[3]);
    Pack<T, 2> numbers;
    if (p.distribution == Distribution::uniform) {
      numbers.at[0] = uniform(u);
      numbers.at[1] = uniform(v);
    } else {
      const double radius = std::sqrt(-2.0 * std::log(u));
      const double angle = 2.0 * std::numbers::pi * v;
      const double scaled = __dmul_rn(p.b, radius);
      numbers.at[0] = static_cast<T>(__dadd_rn(p.a, __dmul_rn(scaled, std::cos(angle))));
      numbers.at[1] = static_cast<T>(__dadd_rn(p.a, __dmul_rn(scaled, std::sin(angle))));
    }
    if (packs && 2 * pair + 1 < p.count) {
      store_pack<2>(y + 2 * pair, numbers);
    } else {
      for (int k = 0; k < 2 && 2 * pair + k < p.count; ++k) {
        y[2 * pair + k] = numbers.at[k];
      }
    }
  }
}

}  // namespace

Status random_fill(const RandomFill& p, const DeviceContext& context) {
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.count <= 0) {
      return Status{};
    }
    constexpr unsigned kThreads = 256;
    const unsigned blocks = blocks_for(pieces_of(p.count, 2), kThreads);
    const T end = static_cast<T>(p.b);
    const T last = std::nextafter(end, static_cast<T>(p.a));
    const bool packs = fits_packs<2>(static_cast<const T*>(p.y));
    return launch({"random_fill", {blocks, 1, 1}, {kThreads, 1, 1}}, context, fill_kernel<T>, p,
                  end, last, packs);
  });
}

}  // namespace basin::kernels

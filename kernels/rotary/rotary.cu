// Rotary position embedding on a GPU. A thread owns one angle, of a position (along y) and a pair
// of columns (along x), and turns this pair in every head of every batch item: sine and cosine,
// which are made in double, cost far more than the turning. Neighbouring threads touch neighbouring
// pairs.
#include "kernels/rotary/rotary.h"

#include <cmath>

#include "kernels/common/dispatch.h"
#include "kernels/common/launch.h"
#include "kernels/common/launch_sizes.h"

namespace basin::kernels {

namespace {

template <class T>
BASIN_KERNEL void rotary_kernel(Rotary p) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t t = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; t < p.L; t += step) {
    for (std::int64_t c = threadIdx.x; c < p.D / 2; c += blockDim.x) {
      const double exponent = 2.0 * static_cast<double>(c) / static_cast<double>(p.D);
      const double angle = static_cast<double>(t) / std::pow(p.base, exponent);
      const T cosine = static_cast<T>(std::cos(angle));
      const T sine = static_cast<T>(p.inverse ? -std::sin(angle) : std::sin(angle));
      for (std::int64_t b = 0; b < p.B; ++b) {
        for (std::int64_t h = blockIdx.y; h < p.H; h += gridDim.y) {
          const T* const x = static_cast<const T*>(p.x.data) + b * p.x.batch_stride +
                             h * p.x.head_stride + t * p.x.row_stride + 2 * c;
          T* const y = static_cast<T*>(p.y.data) + b * p.y.batch_stride + h * p.y.head_stride +
                       t * p.y.row_stride + 2 * c;
          const T first = x[0];
          const T second = x[1];
          y[0] = cosine * first - sine * second;
          y[1] = sine * first + cosine * second;
        }
      }
    }
  }
}

}  // namespace

Status rotary(const Rotary& p, const DeviceContext& context) {
  if (p.D <= 0 || p.D % 2 != 0) {
    return Status::invalid("rotary: the head width must be even");
  }
  return dispatch_floating(p.dtype, [&]<class T>(T) {
    if (p.B <= 0 || p.H <= 0 || p.L <= 0) {
      return Status{};
    }
    constexpr unsigned kThreads = 128;
    unsigned along_x = 1;
    while (along_x < kThreads && along_x < p.D / 2) {
      along_x *= 2;
    }
    const unsigned along_y = kThreads / along_x;
    const unsigned positions = blocks_for(p.L, along_y);
    // Short sequences would leave a card idle: heads are shared out as well.
    const auto heads = static_cast<unsigned>(std::clamp<std::int64_t>(
        264 / std::int64_t{positions}, 1, std::min<std::int64_t>(p.H, 65535)));
    return launch({"rotary", {positions, heads, 1}, {along_x, along_y, 1}}, context,
                  rotary_kernel<T>, p);
  });
}

}  // namespace basin::kernels

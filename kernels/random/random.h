// Filling an array with random numbers by element index.
#pragma once

#include <cstdint>

#include "kernels/common/dtype.h"
#include "kernels/common/status.h"
#include "kernels/common/thread_pool.h"

namespace basin::kernels {

enum class Distribution : std::uint8_t { uniform, normal };

/// uniform: y[i] in [a, b); normal: mean a, standard deviation b (Box-Muller in double). Element i
/// depends on (key, stream, i) alone. f32 or f64.
struct RandomFill {
  void* y;
  std::int64_t count;
  Distribution distribution;
  double a;
  double b;
  std::uint64_t key;
  std::uint64_t stream;
  DType dtype;
};
Status random_fill(const RandomFill&, const CpuContext&);

}  // namespace basin::kernels

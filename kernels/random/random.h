// Filling an array with random numbers by element index.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

enum class Distribution : std::uint8_t { uniform, normal };

/// uniform: y[i] in [a, b); normal: mean a, standard deviation b (Box-Muller in double). Element i
/// depends on (key, stream, i) alone; uniform numbers have the same bits on every device. f32 or
/// f64.
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
Status random_fill(const RandomFill&, const SimtContext&);
Status random_fill(const RandomFill&, const CudaContext&);

}  // namespace basin::kernels

// Rotary position embedding (J. Su et al. 2021).
#pragma once

#include <cstdint>

#include "kernels/association/heads.h"
#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// Turns each pair (x[2c], x[2c + 1]) of row t by the angle t / base^(2c / D): scores of turned
/// queries and keys depend on the distance of their positions only. x and y (B,H,L,D), D even; y
/// may be x. `inverse` turns back, which is also the gradient.
struct Rotary {
  HeadView x, y;
  std::int64_t B, H, L, D;
  double base;
  bool inverse;
  DType dtype;
};
Status rotary(const Rotary&, const CpuContext&);
Status rotary(const Rotary&, const SimtContext&);
Status rotary(const Rotary&, const CudaContext&);

}  // namespace basin::kernels

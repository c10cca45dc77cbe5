// Tensor-core instructions on matrices in memory, one warp each: what the executor makes of them is
// tested against loops here, what a GPU makes of them in tests/cuda.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// ldmatrix of `count` (1, 2 or 4) matrices: registers[lane * count + m].
struct LoadProbe {
  const std::uint16_t* matrices;  ///< count x 8 x 8, 16-byte aligned
  std::uint32_t* registers;       ///< 32 x count
  int count;
  bool transposed;
};
Status probe_load(const LoadProbe&, const SimtContext&);
Status probe_load(const LoadProbe&, const CudaContext&);

enum class Product : std::uint8_t { bf16, f16, tf32 };

/// c = A B + c with one mma. Of 16 bits (K = 16), A and B come through ldmatrix; of tf32 (K = 8),
/// lanes read theirs by fragments.h.
struct ProductProbe {
  const void* a;  ///< 16 x K, elements of 16 bits or f32
  const void* b;  ///< K x 8
  float* c;       ///< 16 x 8
  Product kind;
};
Status probe_product(const ProductProbe&, const SimtContext&);
Status probe_product(const ProductProbe&, const CudaContext&);

/// y[i] = to_tf32(x[i]), as bits.
struct Tf32Probe {
  const float* x;
  std::uint32_t* y;
  int count;
};
Status probe_tf32(const Tf32Probe&, const SimtContext&);
Status probe_tf32(const Tf32Probe&, const CudaContext&);

}  // namespace basin::kernels

// Kernels that do one thing only, to measure what a device can do of it at most.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/dtype.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// `repeats` rounds of independent fused multiply-adds in the registers of every thread of a full
/// device. Tells the operations done (an FMA is two). `sink` has one element of dtype (f32 or f64).
struct FmaCeiling {
  void* sink;
  std::int64_t repeats;
  DType dtype;
  double* operations;  ///< on the host
};
Status fma_ceiling(const FmaCeiling&, const SimtContext&);
Status fma_ceiling(const FmaCeiling&, const CudaContext&);

/// The same with exponentials, as the kernels compute them.
struct ExpCeiling {
  void* sink;
  std::int64_t repeats;
  DType dtype;
  double* exponentials;  ///< on the host
};
Status exp_ceiling(const ExpCeiling&, const SimtContext&);
Status exp_ceiling(const ExpCeiling&, const CudaContext&);

/// The same with products of tensor cores: mma.sync of bf16 (16 x 8 x 16) into f32, a multiply-add
/// being two operations. wgmma, which only compute capability 9.0 has, is faster still.
struct TensorCeiling {
  float* sink;
  std::int64_t repeats;
  double* operations;  ///< on the host
};
Status tensor_ceiling(const TensorCeiling&, const SimtContext&);
Status tensor_ceiling(const TensorCeiling&, const CudaContext&);

/// y = x for `bytes` bytes, a multiple of 16, in accesses of 16 bytes.
struct CopyCeiling {
  const void* x;
  void* y;
  std::int64_t bytes;
};
Status copy_ceiling(const CopyCeiling&, const SimtContext&);
Status copy_ceiling(const CopyCeiling&, const CudaContext&);

}  // namespace basin::kernels

// The key of a random mask, made where the mask is drawn.
#pragma once

#include <cstdint>

#include "kernels/common/context.h"
#include "kernels/common/status.h"

namespace basin::kernels {

/// *derived = derive_key(key, stream + *stream_offset) of common/philox.h, the same bits on every
/// device. Both pointers lie where the kernel runs; a null offset is 0.
struct DeriveKey {
  std::uint64_t key;
  std::uint64_t stream;
  const std::int64_t* stream_offset;
  std::uint64_t* derived;
};
Status derive_key(const DeriveKey&, const CpuContext&);
Status derive_key(const DeriveKey&, const SimtContext&);
Status derive_key(const DeriveKey&, const CudaContext&);

}  // namespace basin::kernels

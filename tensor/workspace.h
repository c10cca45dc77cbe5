// Scratch memory of a kernel call.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace basin {

/// `bytes` bytes on a device, aligned to 64, not initialised; given back to the allocator's cache
/// at the end of the object's life. Throws OutOfMemory.
class Workspace {
 public:
  explicit Workspace(std::int64_t bytes, Device device = Device::cpu)
      : memory_(Tensor::empty({(bytes + 7) / 8}, DType::f64, device)) {}
  void* data() { return memory_.mutable_raw(); }

 private:
  Tensor memory_;
};

}  // namespace basin

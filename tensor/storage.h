// A block of memory that tensors share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor/allocator.h"

namespace basin {

class Storage {
 public:
  /// Throws OutOfMemory.
  explicit Storage(std::size_t bytes, Device device = Device::cpu)
      : device_(device),
        allocator_(allocator_of(device)),
        bytes_(bytes),
        data_(allocator_->allocate(bytes)) {}
  ~Storage() { allocator_->release(data_, bytes_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  Device device() const { return device_; }
  std::size_t bytes() const { return bytes_; }

  /// Rises with every write, so that autograd notices when something it saved was changed.
  std::uint64_t version() const { return version_; }
  void bump_version() { ++version_; }

 private:
  Device device_;
  std::shared_ptr<Allocator> allocator_;
  std::size_t bytes_;
  void* data_;
  std::uint64_t version_ = 0;
};

}  // namespace basin

// Tensors of the executor in memory that the host must not touch, and that begins as NaN: a kernel
// that reads what nobody wrote computes NaN.
#pragma once

#include <cstring>
#include <memory>
#include <mutex>
#include <optional>

#include "kernels/simt/memory_guard.h"
#include "tensor/allocator.h"
#include "tests/support/guarded_memory.h"

namespace basin::test {

/// Until the end of the scope tensors on simt get guarded memory; nothing changes for another
/// device.
class GuardedTensors {
 public:
  explicit GuardedTensors(Device device) {
    if (device == Device::simt) {
      scope_.emplace(std::make_shared<GuardedAllocator>(), device);
    }
  }

 private:
  class GuardedAllocator final : public Allocator {
   public:
    void* allocate(std::size_t bytes) override {
      void* const block = GuardedMemory::instance().take(bytes);
      {
        const kernels::simt::OpenMemory open;
        std::memset(block, 0xFF, bytes);
      }
      const std::lock_guard lock(mutex_);
      stats_.active += bytes;
      stats_.peak = stats_.peak < stats_.active ? stats_.active : stats_.peak;
      return block;
    }
    void release(void* block, std::size_t bytes) noexcept override {
      GuardedMemory::instance().give(block, bytes);
      const std::lock_guard lock(mutex_);
      stats_.active -= bytes;
    }
    MemoryStats stats() const override {
      const std::lock_guard lock(mutex_);
      return stats_;
    }
    void reset_peak() override {
      const std::lock_guard lock(mutex_);
      stats_.peak = stats_.active;
    }
    void release_cache() override {}

   private:
    mutable std::mutex mutex_;
    MemoryStats stats_;
  };

  std::optional<ScopedAllocator> scope_;
};

}  // namespace basin::test

// Where tensor memory comes from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor/device.h"

namespace basin {

/// Bytes held by an allocator.
struct MemoryStats {
  std::size_t active = 0;  ///< in use by tensors
  std::size_t cached = 0;  ///< kept for reuse
  std::size_t peak = 0;    ///< most ever active since the last reset_peak()
};

class Allocator {
 public:
  virtual ~Allocator() = default;

  /// 64-byte aligned memory; never null (also for 0 bytes). Throws OutOfMemory, with the requested,
  /// active and allowed bytes and the largest blocks in use.
  virtual void* allocate(std::size_t bytes) = 0;

  /// Gives back what allocate(bytes) returned.
  virtual void release(void* block, std::size_t bytes) noexcept = 0;

  virtual MemoryStats stats() const = 0;
  virtual void reset_peak() = 0;

  /// Hands cached blocks back to the system.
  virtual void release_cache() = 0;
};

/// What a request is rounded up to by a CachingAllocator, so that there are few sizes: multiples of
/// 512 bytes up to a megabyte, then eighths of powers of two. SIZE_MAX if there is no such size.
std::size_t block_size(std::size_t bytes);

/// Keeps released blocks by size and hands them out again. Thread-safe. When memory runs out, or
/// `limit` would be passed, the cache is freed and the request tried once more.
///
/// On a GPU a block is handed out again while kernels that used it may still be queued. That is
/// right because all kernels and copies of ours go to one stream and keep its order.
class CachingAllocator final : public Allocator {
 public:
  explicit CachingAllocator(Device device, std::size_t limit = SIZE_MAX);
  ~CachingAllocator() override;
  void* allocate(std::size_t bytes) override;
  void release(void* block, std::size_t bytes) noexcept override;
  MemoryStats stats() const override;
  void reset_peak() override;
  void release_cache() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The allocator that new tensors on a device use. A tensor gives its memory back to the allocator
/// it came from. The executor's memory is the CPU's, but counted apart.
std::shared_ptr<Allocator> allocator_of(Device device);
inline std::shared_ptr<Allocator> cpu_allocator() { return allocator_of(Device::cpu); }

/// Makes `allocator` the one of a device until the end of the scope: how tests fill fresh memory
/// with NaN or let the n-th request fail.
class ScopedAllocator {
 public:
  explicit ScopedAllocator(std::shared_ptr<Allocator> allocator, Device device = Device::cpu);
  ~ScopedAllocator();
  ScopedAllocator(const ScopedAllocator&) = delete;
  ScopedAllocator& operator=(const ScopedAllocator&) = delete;

 private:
  Device device_;
  std::shared_ptr<Allocator> previous_;
};

}  // namespace basin

// Allocators that find mistakes: reading memory before it is written, writing beyond the end, and
// not coping with a request that fails.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "tensor/allocator.h"
#include "tensor/error.h"

namespace basin::test {

/// Hands out memory of which every byte is 0xFF: NaN as f32, f64, bf16 and f16, -1 as an integer.
/// Each block lies between two guard strips, which are checked when it comes back. Nothing is kept
/// for reuse. Thread-safe.
class NanFillingAllocator : public Allocator {
 public:
  void* allocate(std::size_t bytes) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++requests_;
    before_request(requests_);
    // aligned_alloc wants a multiple of the alignment.
    const std::size_t size = (bytes + kGuard - 1) / kGuard * kGuard + 2 * kGuard;
    auto* const whole = static_cast<unsigned char*>(std::aligned_alloc(kGuard, size));
    if (whole == nullptr) {
      throw OutOfMemory("the test allocator has no " + std::to_string(bytes) + " bytes");
    }
    std::memset(whole, kGuardByte, size);
    std::memset(whole + kGuard, 0xFF, bytes);
    stats_.active += bytes;
    stats_.peak = std::max(stats_.peak, stats_.active);
    blocks_[whole + kGuard] = size;
    return whole + kGuard;
  }

  void release(void* block, std::size_t bytes) noexcept override {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = blocks_.find(static_cast<unsigned char*>(block));
    if (found == blocks_.end()) {
      ++damaged_;
      return;
    }
    unsigned char* const whole = found->first - kGuard;
    const auto untouched = [](unsigned char byte) { return byte == kGuardByte; };
    if (!std::all_of(whole, whole + kGuard, untouched) ||
        !std::all_of(whole + kGuard + bytes, whole + found->second, untouched)) {
      ++damaged_;
    }
    stats_.active -= bytes;
    blocks_.erase(found);
    std::free(whole);
  }

  MemoryStats stats() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return stats_;
  }
  void reset_peak() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    stats_.peak = stats_.active;
  }
  void release_cache() override {}

  /// Requests so far.
  std::size_t requests() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }
  /// Blocks that came back with a damaged guard strip, and releases of what was never handed out.
  std::size_t damaged() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return damaged_;
  }

 protected:
  /// May throw: then the request fails.
  virtual void before_request(std::size_t /*number*/) {}

 private:
  static constexpr std::size_t kGuard = 64;  // also the alignment
  static constexpr unsigned char kGuardByte = 0xA5;

  mutable std::mutex mutex_;
  MemoryStats stats_;
  std::map<unsigned char*, std::size_t> blocks_;  // with the size of the whole
  std::size_t requests_ = 0;
  std::size_t damaged_ = 0;
};

/// Throws OutOfMemory at the n-th request, counted from 1, and grants every other.
class FailingAllocator final : public NanFillingAllocator {
 public:
  explicit FailingAllocator(std::size_t n) : n_(n) {}

 private:
  void before_request(std::size_t number) override {
    if (number == n_) {
      throw OutOfMemory("request " + std::to_string(number) + " fails, as the test wants");
    }
  }

  std::size_t n_;
};

}  // namespace basin::test

#include "tensor/allocator.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensor/error.h"

namespace basin {

namespace {

constexpr std::size_t kAlignment = 64;

// Few distinct sizes make blocks reusable: multiples of 512 bytes up to a megabyte, then eighths of
// powers of two, which wastes at most an eighth.
std::size_t block_size(std::size_t bytes) {
  std::size_t step = 512;
  if (bytes > (std::size_t{1} << 20)) {
    std::size_t power = std::size_t{1} << 20;
    while (power < bytes / 2) {
      power *= 2;
    }
    step = power / 8;
  }
  const std::size_t size = (std::max<std::size_t>(bytes, 1) + step - 1) / step * step;
  return size < bytes ? SIZE_MAX : size;  // overflow: no system has that much
}

}  // namespace

struct CachingCpuAllocator::State {
  explicit State(std::size_t in_limit) : limit(in_limit) {}

  const std::size_t limit;
  mutable std::mutex mutex;
  MemoryStats stats;
  std::map<std::size_t, std::vector<void*>> cache;
  std::unordered_map<void*, std::size_t> in_use;  // requested bytes, for the error message

  void free_cache() {
    for (auto& [size, blocks] : cache) {
      for (void* block : blocks) {
        std::free(block);
      }
    }
    cache.clear();
    stats.cached = 0;
  }

  void* take(std::size_t size) {
    const auto cached = cache.find(size);
    if (cached != cache.end() && !cached->second.empty()) {
      void* block = cached->second.back();
      cached->second.pop_back();
      stats.cached -= size;
      return block;
    }
    if (size > limit || stats.active + stats.cached > limit - size) {
      return nullptr;
    }
    return std::aligned_alloc(kAlignment, size);
  }

  std::string largest() const {
    std::vector<std::size_t> sizes;
    sizes.reserve(in_use.size());
    for (const auto& [block, bytes] : in_use) {
      sizes.push_back(bytes);
    }
    std::sort(sizes.rbegin(), sizes.rend());
    sizes.resize(std::min<std::size_t>(sizes.size(), 5));
    return fmt::format("{}", fmt::join(sizes, ", "));
  }
};

CachingCpuAllocator::CachingCpuAllocator(std::size_t limit)
    : state_(std::make_unique<State>(limit)) {}

CachingCpuAllocator::~CachingCpuAllocator() { state_->free_cache(); }

void* CachingCpuAllocator::allocate(std::size_t bytes) {
  const std::size_t size = block_size(bytes);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  void* block = size == SIZE_MAX ? nullptr : state_->take(size);
  if (block == nullptr && size != SIZE_MAX) {
    state_->free_cache();
    block = state_->take(size);
  }
  if (block == nullptr) {
    throw OutOfMemory(fmt::format(
        "out of CPU memory: {} bytes requested, {} in use by {} tensors, limit {}; the largest "
        "tensors hold {} bytes. Use a smaller batch, length or width.",
        bytes, state_->stats.active, state_->in_use.size(),
        state_->limit == SIZE_MAX ? "none" : std::to_string(state_->limit), state_->largest()));
  }
  try {
    state_->in_use.emplace(block, bytes);
  } catch (...) {
    std::free(block);
    throw;
  }
  state_->stats.active += size;
  state_->stats.peak = std::max(state_->stats.peak, state_->stats.active);
  return block;
}

void CachingCpuAllocator::release(void* block, std::size_t bytes) noexcept {
  const std::size_t size = block_size(bytes);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->in_use.erase(block);
  state_->stats.active -= size;
  try {
    state_->cache[size].push_back(block);
    state_->stats.cached += size;
  } catch (...) {  // no memory for the list itself
    std::free(block);
  }
}

MemoryStats CachingCpuAllocator::stats() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->stats;
}

void CachingCpuAllocator::reset_peak() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->stats.peak = state_->stats.active;
}

void CachingCpuAllocator::release_cache() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->free_cache();
}

namespace {
std::shared_ptr<Allocator>& current_cpu_allocator() {
  static std::shared_ptr<Allocator> allocator = std::make_shared<CachingCpuAllocator>();
  return allocator;
}
}  // namespace

std::shared_ptr<Allocator> cpu_allocator() { return current_cpu_allocator(); }

ScopedAllocator::ScopedAllocator(std::shared_ptr<Allocator> allocator)
    : previous_(std::exchange(current_cpu_allocator(), std::move(allocator))) {}

ScopedAllocator::~ScopedAllocator() { current_cpu_allocator() = std::move(previous_); }

}  // namespace basin

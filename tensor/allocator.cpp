#include "tensor/allocator.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/cuda/runtime.h"
#include "tensor/device_graph.h"
#include "tensor/error.h"

namespace basin {

namespace {

constexpr std::size_t kAlignment = 64;

// Null when there is no more.
void* take_from_system(Device device, std::size_t size) {
  if (device != Device::cuda) {
    return std::aligned_alloc(kAlignment, size);
  }
  void* block = nullptr;
  if constexpr (kernels::kCudaBuilt) {
    (void)kernels::cuda_allocate(&block, size);
  }
  return block;
}

void give_to_system(Device device, void* block) {
  if (device != Device::cuda) {
    std::free(block);
    return;
  }
  if constexpr (kernels::kCudaBuilt) {
    kernels::cuda_release(block);
  }
}

// " of 79 GiB ..." where a device knows.
std::string system_memory(Device device) {
  if constexpr (kernels::kCudaBuilt) {
    std::size_t free = 0;
    std::size_t total = 0;
    if (device == Device::cuda && kernels::cuda_memory(&free, &total).ok()) {
      return fmt::format(", {} of the GPU's {} bytes free", free, total);
    }
  }
  return "";
}

}  // namespace

// An eighth is the most that is wasted.
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

struct CachingAllocator::State {
  State(Device in_device, std::size_t in_limit) : device(in_device), limit(in_limit) {}

  const Device device;
  const std::size_t limit;
  mutable std::mutex mutex;
  MemoryStats stats;
  std::map<std::size_t, std::vector<void*>> cache;
  std::unordered_map<void*, std::size_t> in_use;  // requested bytes, for the error message

  void free_cache() {
    for (auto& [size, blocks] : cache) {
      for (void* block : blocks) {
        give_to_system(device, block);
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
    refuse_in_capture(
        device, fmt::format("taking {} bytes of {} memory from the system", size, name_of(device)));
    return take_from_system(device, size);
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

CachingAllocator::CachingAllocator(Device device, std::size_t limit)
    : state_(std::make_unique<State>(device, limit)) {}

CachingAllocator::~CachingAllocator() { state_->free_cache(); }

void* CachingAllocator::allocate(std::size_t bytes) {
  const std::size_t size = block_size(bytes);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  void* block = size == SIZE_MAX ? nullptr : state_->take(size);
  if (block == nullptr && size != SIZE_MAX) {
    state_->free_cache();
    block = state_->take(size);
  }
  if (block == nullptr) {
    throw OutOfMemory(fmt::format(
        "out of {} memory: {} bytes requested, {} in use by {} tensors, limit {}{}; the largest "
        "tensors hold {} bytes. Use a smaller batch, length or width.",
        state_->device == Device::cuda ? "GPU" : "CPU", bytes, state_->stats.active,
        state_->in_use.size(), state_->limit == SIZE_MAX ? "none" : std::to_string(state_->limit),
        system_memory(state_->device), state_->largest()));
  }
  try {
    state_->in_use.emplace(block, bytes);
  } catch (...) {
    give_to_system(state_->device, block);
    throw;
  }
  state_->stats.active += size;
  state_->stats.peak = std::max(state_->stats.peak, state_->stats.active);
  return block;
}

void CachingAllocator::release(void* block, std::size_t bytes) noexcept {
  const std::size_t size = block_size(bytes);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->in_use.erase(block);
  state_->stats.active -= size;
  try {
    state_->cache[size].push_back(block);
    state_->stats.cached += size;
  } catch (...) {  // no memory for the list itself
    give_to_system(state_->device, block);
  }
}

MemoryStats CachingAllocator::stats() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->stats;
}

void CachingAllocator::reset_peak() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->stats.peak = state_->stats.active;
}

void CachingAllocator::release_cache() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->free_cache();
}

namespace {
std::shared_ptr<Allocator>& current_allocator(Device device) {
  static std::shared_ptr<Allocator> allocators[] = {
      std::make_shared<CachingAllocator>(Device::cpu),
      std::make_shared<CachingAllocator>(Device::cuda),
      std::make_shared<CachingAllocator>(Device::simt)};
  return allocators[static_cast<std::size_t>(device)];
}
}  // namespace

std::shared_ptr<Allocator> allocator_of(Device device) { return current_allocator(device); }

ScopedAllocator::ScopedAllocator(std::shared_ptr<Allocator> allocator, Device device)
    : device_(device), previous_(std::exchange(current_allocator(device), std::move(allocator))) {}

ScopedAllocator::~ScopedAllocator() { current_allocator(device_) = std::move(previous_); }

}  // namespace basin

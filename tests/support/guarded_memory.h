// Memory for the executor that only its kernels and copies may touch, as if it were a GPU's: a
// program whose host code reads or writes it is killed (SIGSEGV).
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "kernels/simt/memory_guard.h"

namespace basin::test {

class GuardedMemory {
 public:
  static GuardedMemory& instance() {
    static GuardedMemory* const memory = new GuardedMemory;
    return *memory;
  }

  /// `bytes` bytes, aligned to 256. Never given back to the system.
  void* take(std::size_t bytes) {
    const std::size_t size = size_of_block(bytes);
    const std::lock_guard lock(mutex_);
    ++in_use_;
    std::vector<void*>& free = free_[size];
    if (!free.empty()) {
      void* const block = free.back();
      free.pop_back();
      return block;
    }
    if (size > kReserved - used_) {
      throw std::bad_alloc();
    }
    void* const block = begin_ + used_;
    used_ += size;
    protect();
    return block;
  }
  void give(void* block, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    free_[size_of_block(bytes)].push_back(block);
    if (--in_use_ == 0) {  // from the beginning again: opening takes longer the more there is
      protect(PROT_NONE);
      used_ = 0;
      free_.clear();
    }
  }

 private:
  static constexpr std::size_t kReserved = std::size_t{4} << 30;
  static constexpr std::size_t kPage = 4096;

  GuardedMemory()
      : begin_(static_cast<char*>(mmap(nullptr, kReserved, PROT_NONE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (begin_ == MAP_FAILED) {
      throw std::bad_alloc();
    }
    kernels::simt::g_memory_guard = [](bool opens) { instance().change(opens ? 1 : -1); };
  }

  static std::size_t size_of_block(std::size_t bytes) { return (bytes + 255) / 256 * 256 + 256; }

  void change(int by) {
    const std::lock_guard lock(mutex_);
    open_ += by;
    if (open_ == (by > 0 ? 1 : 0)) {
      protect();
    }
  }
  void protect() { protect(open_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE); }
  void protect(int access) {
    const std::size_t bytes = (used_ + kPage - 1) / kPage * kPage;
    if (bytes > 0 && mprotect(begin_, bytes, access) != 0) {
      throw std::bad_alloc();
    }
  }

  std::mutex mutex_;
  char* begin_;
  std::size_t used_ = 0;
  std::size_t in_use_ = 0;  // blocks
  int open_ = 0;
  std::map<std::size_t, std::vector<void*>> free_;
};

}  // namespace basin::test

// The hooks of AddressSanitizer and ThreadSanitizer that the executor calls. They are weak: in a
// program without the sanitizer they are null and nothing is called, so the executor itself is
// compiled the same way, uninstrumented, for every build.
#pragma once

#include <cstddef>

// NOLINTBEGIN(bugprone-reserved-identifier): these are the sanitizers' names.
extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void**, const void*, std::size_t);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void*, const void**, std::size_t*);
[[gnu::weak]] void __asan_poison_memory_region(const volatile void*, std::size_t);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void*, std::size_t);
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned);
[[gnu::weak]] void __tsan_destroy_fiber(void*);
[[gnu::weak]] void __tsan_switch_to_fiber(void*, unsigned);
[[gnu::weak]] void __tsan_acquire(void*);
[[gnu::weak]] void __tsan_release(void*);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace basin::kernels::simt {

/// From here on an access to the region is an error under AddressSanitizer.
inline void poison(const void* region, std::size_t bytes) {
  if (__asan_poison_memory_region != nullptr) {
    __asan_poison_memory_region(region, bytes);
  }
}
inline void unpoison(const void* region, std::size_t bytes) {
  if (__asan_unpoison_memory_region != nullptr) {
    __asan_unpoison_memory_region(region, bytes);
  }
}

/// A place through which ThreadSanitizer learns what happens before what: everything before a
/// release() happens before everything behind a later acquire().
class SyncPoint {
 public:
  void release() {
    if (__tsan_release != nullptr) {
      __tsan_release(this);
    }
  }
  void acquire() {
    if (__tsan_acquire != nullptr) {
      __tsan_acquire(this);
    }
  }

 private:
  [[maybe_unused]] long place_ = 0;  // only its address counts
};

/// A barrier has two places, used in turns. With a single one, a thread that already waits at the
/// next barrier would seem to have finished before a thread that is still leaving this one, and a
/// race between the two would pass unseen.
class BarrierSync {
 public:
  SyncPoint& of(unsigned generation) { return place_[generation & 1]; }

 private:
  SyncPoint place_[2];
};

}  // namespace basin::kernels::simt

// The functions that -fsanitize=thread makes compiled code call at each access, without the
// sanitizer behind them. Device code is compiled with that option in the program that counts
// accesses; this file is not.
#include <cstddef>
#include <cstdint>

#include "kernels/simt/counting/access_counter.h"

namespace {

using basin::kernels::simt::AccessCounter;
using basin::kernels::simt::g_observer;

// In this program nobody else observes.
AccessCounter* counter() { return static_cast<AccessCounter*>(g_observer); }

void tell(const void* data, std::size_t bytes, bool writes, const void* place) {
  if (AccessCounter* const to = counter(); to != nullptr) {
    to->access(data, bytes, writes, place);
  }
}

void tell_atomic(const volatile void* data) {
  if (AccessCounter* const to = counter(); to != nullptr) {
    to->atomic(const_cast<const void*>(data));
  }
}

}  // namespace

namespace basin::kernels::simt {
bool counts_accesses() { return true; }
}  // namespace basin::kernels::simt

// The names are the sanitizer's, one for each size: a macro writes them down, because a function
// cannot name functions.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {

#define BASIN_HOOKS(size)                                                                  \
  void __tsan_read##size(void* at) { tell(at, size, false, __builtin_return_address(0)); } \
  void __tsan_write##size(void* at) { tell(at, size, true, __builtin_return_address(0)); } \
  void __tsan_unaligned_read##size(void* at) {                                             \
    tell(at, size, false, __builtin_return_address(0));                                    \
  }                                                                                        \
  void __tsan_unaligned_write##size(void* at) {                                            \
    tell(at, size, true, __builtin_return_address(0));                                     \
  }                                                                                        \
  void __tsan_volatile_read##size(void* at) {                                              \
    tell(at, size, false, __builtin_return_address(0));                                    \
  }                                                                                        \
  void __tsan_volatile_write##size(void* at) { tell(at, size, true, __builtin_return_address(0)); }
BASIN_HOOKS(1)
BASIN_HOOKS(2)
BASIN_HOOKS(4)
BASIN_HOOKS(8)
BASIN_HOOKS(16)
#undef BASIN_HOOKS

void __tsan_read_range(void* at, unsigned long bytes) {
  tell(at, bytes, false, __builtin_return_address(0));
}
void __tsan_write_range(void* at, unsigned long bytes) {
  tell(at, bytes, true, __builtin_return_address(0));
}

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Atomics replace the access itself. Reading and writing one is no atomic of a GPU.
#define BASIN_ATOMICS(bits, type)                                                                  \
  type __tsan_atomic##bits##_load(const volatile type* at, int) {                                  \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                  \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile type* at, type value, int) {                           \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                 \
  }                                                                                                \
  type __tsan_atomic##bits##_exchange(volatile type* at, type value, int) {                        \
    tell_atomic(at);                                                                               \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                       \
  }                                                                                                \
  type __tsan_atomic##bits##_fetch_add(volatile type* at, type value, int) {                       \
    tell_atomic(at);                                                                               \
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);                                        \
  }                                                                                                \
  type __tsan_atomic##bits##_fetch_sub(volatile type* at, type value, int) {                       \
    tell_atomic(at);                                                                               \
    return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST);                                        \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type* at, type* expected, type value, \
                                                    int, int) {                                    \
    tell_atomic(at);                                                                               \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST,               \
                                       __ATOMIC_SEQ_CST);                                          \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile type* at, type* expected, type value,   \
                                                  int, int) {                                      \
    tell_atomic(at);                                                                               \
    return __atomic_compare_exchange_n(at, expected, value, true, __ATOMIC_SEQ_CST,                \
                                       __ATOMIC_SEQ_CST);                                          \
  }
BASIN_ATOMICS(8, std::uint8_t)
BASIN_ATOMICS(16, std::uint16_t)
BASIN_ATOMICS(32, std::uint32_t)
BASIN_ATOMICS(64, std::uint64_t)
#undef BASIN_ATOMICS

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)

// Stacks that a thread of the operating system changes between: Boost.Context with the hooks that
// AddressSanitizer and ThreadSanitizer need to follow. All of both is in fiber.cpp.
#pragma once

#include <cstddef>

namespace basin::kernels::simt {

class Fiber {
 public:
  using Entry = void (*)(void* argument);

  /// The stack that the calling code already runs on.
  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Maps a stack with an unreadable page below it. The upper `colour` * 256 bytes stay unused, so
  /// that the tops of many stacks do not compete for the same few sets of the cache. False if there
  /// is no memory.
  bool map_stack(unsigned colour);

  /// The next switch to this fiber calls `entry(argument)`, which must never return. What ran on
  /// the stack before is forgotten; nothing there is destroyed.
  void start(Entry entry, void* argument);

  /// Goes from one fiber, the running one, to another; returns when something switches back. Does
  /// not order memory in the eyes of ThreadSanitizer.
  static void change(Fiber& from, Fiber& to);

  /// The same, but `from` will be started anew before it runs again.
  [[noreturn]] static void leave(Fiber& from, Fiber& to);

 private:
  struct Jump;
  friend struct FiberEntry;
  void take_place_of(const Jump& jump, void* context);
  static void go(Fiber& from, Fiber& to, bool for_good);

  void* context_ = nullptr;  // first: with what stands before it, one line of the cache
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  void* mapped_ = nullptr;
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t unused_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  void* tsan_ = nullptr;
  bool own_tsan_ = false;
  bool abandoned_ = false;  // begun, and not left for good
};

}  // namespace basin::kernels::simt

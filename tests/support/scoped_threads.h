// Another number of threads for a scope.
#pragma once

#include "tensor/device.h"

namespace basin::test {

class ScopedThreads {
 public:
  explicit ScopedThreads(int count) : previous_(threads()) { set_threads(count); }
  ~ScopedThreads() { set_threads(previous_); }
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;

 private:
  int previous_;
};

}  // namespace basin::test

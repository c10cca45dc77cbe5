// What stands for the memory of a GPU is the host's here, so that code of the host could read it
// unnoticed. Tests guard it (tests/support/guarded_memory.h): it is closed but while the executor
// works on it.
#pragma once

namespace basin::kernels::simt {

/// Called with true before the executor touches the memory of its device and with false behind
/// that, by several threads at once. Null: nobody guards it.
using MemoryGuard = void (*)(bool opens);
extern MemoryGuard g_memory_guard;

/// The memory is open until the end of the scope; scopes may lie in each other.
class OpenMemory {
 public:
  OpenMemory() : guard_(g_memory_guard) { call(true); }
  ~OpenMemory() { call(false); }
  OpenMemory(const OpenMemory&) = delete;
  OpenMemory& operator=(const OpenMemory&) = delete;

 private:
  void call(bool opens) const {
    if (guard_ != nullptr) {
      guard_(opens);
    }
  }
  MemoryGuard guard_;
};

}  // namespace basin::kernels::simt

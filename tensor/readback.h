// Numbers that come back from a device while it goes on working.
#pragma once

#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace basin {

/// Copies of small tensors on their way to the CPU. On a GPU they are queued behind the work that
/// makes the numbers, go through pinned memory, and nobody waits until they are asked for;
/// elsewhere they are there at once.
class Readback {
 public:
  Readback();
  ~Readback();
  Readback(Readback&&) noexcept;
  Readback& operator=(Readback&&) noexcept;

  /// The values that `tensors`, all on one device, will have when the work queued so far is done.
  /// Not inside a capture. Throws Error.
  void start(const std::vector<Tensor>& tensors);
  /// Whether values() would not wait.
  bool arrived() const;
  /// Waits for the numbers, not for what was queued after start(). In the order of start(), on the
  /// CPU. Throws Error for a kernel that failed before.
  std::vector<Tensor> values() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace basin

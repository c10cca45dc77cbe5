// Somebody who is told what a block does at the moments when nothing more can happen to what its
// threads did before. Nobody, unless the program that counts accesses runs (counting/).
#pragma once

#include <cstdint>

#include "kernels/simt/grid.h"

namespace basin::kernels::simt {

class Observer {
 public:
  Observer() = default;
  virtual ~Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  virtual void begin_launch(const Grid& grid) = 0;
  /// All threads of the block have come to a barrier.
  virtual void block_in_step() = 0;
  /// All threads of the block have ended.
  virtual void end_block() = 0;
  /// The lanes of `mask` of a warp have come to a collective.
  virtual void warp_in_step(int warp, std::uint32_t mask) = 0;
  /// The running thread issued a copy of `bytes` bytes, of which `valid` are read.
  virtual void async_copy(const void* target, const void* source, int bytes, int valid,
                          const Location& at) = 0;
};

/// Null, or who is told; then launches run without their pool.
extern Observer* g_observer;

/// Whether these bytes lie in the shared memory of the running block.
bool in_shared_memory(const void* data, std::size_t bytes);

}  // namespace basin::kernels::simt

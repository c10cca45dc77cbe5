// The shared memory of one block. It lies in one piece, filled with NaN; under AddressSanitizer
// everything between and behind the arrays that a kernel asked for is poisoned.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/simt/engine.h"

namespace basin::kernels::simt {

class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// Forgets the arrays of the block before. `dynamic_bytes` must be within `limit`.
  void begin_block(std::size_t dynamic_bytes, std::size_t limit);

  void* dynamic() { return memory_; }

  /// Whether these bytes lie in what the block has, the gaps between arrays included.
  bool holds(const void* data, std::size_t bytes) const;

  /// The array of `key`, made on the first call. Null if it cannot be had; `problem` says why.
  void* array(const void* key, std::size_t bytes, const Location& at, std::string& problem);

  std::size_t used() const { return used_; }

 private:
  struct Array {
    const void* key;
    void* data;
    Location at;
  };
  static constexpr int kMostArrays = 32;

  std::byte* memory_;
  std::size_t dynamic_bytes_ = 0;
  std::size_t static_bytes_ = 0;
  std::size_t limit_ = 0;
  std::size_t used_ = 0;     // what counts against the limit
  std::size_t end_ = 0;      // of what is laid out, with gaps
  std::size_t touched_ = 0;  // by any block so far
  int count_ = 0;
  std::unique_ptr<Array[]> arrays_;
};

}  // namespace basin::kernels::simt

// A random order that is computed and not stored.
#pragma once

#include <cstdint>

namespace basin::tasks {

/// A permutation of 0 ... size - 1 that is a function of (key, stream). Takes no memory; a number
/// takes a few random words. A Feistel network (M. Luby, C. Rackoff 1988) permutes the numbers
/// below the next power of four; what falls outside is permuted again until it is inside (cycle
/// walking, J. Black, P. Rogaway 2002).
class KeyedOrder {
 public:
  /// 1 <= size <= 2^62.
  KeyedOrder(std::int64_t size, std::uint64_t key, std::uint64_t stream);

  /// The number at a place, 0 <= place < size.
  std::int64_t operator[](std::int64_t place) const;

 private:
  std::uint64_t permuted(std::uint64_t number) const;

  std::uint64_t size_, key_, stream_;
  int half_bits_ = 1;
};

}  // namespace basin::tasks

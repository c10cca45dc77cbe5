#include "tasks/keyed_order.h"

#include "kernels/common/philox.h"

namespace basin::tasks {

namespace {

// Four make a permutation that no test of its numbers tells from a random one; two are spare.
constexpr int kRounds = 6;

}  // namespace

KeyedOrder::KeyedOrder(std::int64_t size, std::uint64_t key, std::uint64_t stream)
    : size_(static_cast<std::uint64_t>(size)), key_(key), stream_(stream) {
  while ((std::uint64_t{1} << (2 * half_bits_)) < size_) {
    ++half_bits_;
  }
}

std::uint64_t KeyedOrder::permuted(std::uint64_t number) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = number >> half_bits_;
  std::uint64_t right = number & mask;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const auto words = kernels::philox(key_, right, stream_ * kRounds + round);
    const std::uint64_t next = left ^ (words[0] & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

std::int64_t KeyedOrder::operator[](std::int64_t place) const {
  auto number = static_cast<std::uint64_t>(place);
  do {
    number = permuted(number);
  } while (number >= size_);
  return static_cast<std::int64_t>(number);
}

}  // namespace basin::tasks

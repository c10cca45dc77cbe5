// The order in which examples are visited.
#pragma once

#include <cstdint>
#include <vector>

namespace basin::tasks {

/// Every epoch visits all examples once in an order that is a function of (seed, epoch); the
/// examples that do not fill a last batch are left out of that epoch. Which examples step s sees
/// depends on nothing but (seed, s), so a run continues anywhere by its step number.
class DataLoader {
 public:
  static constexpr std::int64_t kMostShuffled = std::int64_t{1} << 22;

  /// Throws Error unless 1 <= batch <= examples.
  DataLoader(std::int64_t examples, std::int64_t batch, std::uint64_t seed);

  std::int64_t batches_per_epoch() const { return examples_ / batch_; }
  std::int64_t epoch_of(std::int64_t step) const { return step / batches_per_epoch(); }

  /// The `batch` example numbers of a step, which counts from 0.
  std::vector<std::int64_t> numbers(std::int64_t step);

 private:
  void shuffle(std::int64_t epoch);

  std::int64_t examples_, batch_;
  std::uint64_t key_;
  std::int64_t shuffled_epoch_ = -1;
  std::vector<std::int64_t> order_;  // of shuffled_epoch_
};

}  // namespace basin::tasks

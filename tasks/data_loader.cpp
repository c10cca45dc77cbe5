#include "tasks/data_loader.h"

#include <numeric>
#include <utility>

#include "kernels/common/philox.h"
#include "tasks/keyed_order.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace basin::tasks {

DataLoader::DataLoader(std::int64_t examples, std::int64_t batch, std::uint64_t seed)
    : examples_(examples), batch_(batch), key_(kernels::derive_key(seed, 0x10AD)) {
  if (batch < 1 || batch > examples) {
    fail("the batch must be between 1 and the number of training examples, {}; got {}", examples,
         batch);
  }
}

std::vector<std::int64_t> DataLoader::numbers(std::int64_t step) {
  const std::int64_t epoch = epoch_of(step);
  const std::int64_t first = step % batches_per_epoch() * batch_;
  if (examples_ > kMostShuffled) {
    const KeyedOrder order(examples_, key_, static_cast<std::uint64_t>(epoch));
    std::vector<std::int64_t> numbers;
    for (std::int64_t place = first; place < first + batch_; ++place) {
      numbers.push_back(order[place]);
    }
    return numbers;
  }
  if (epoch != shuffled_epoch_) {
    shuffle(epoch);
  }
  const auto begin = order_.begin() + first;
  return {begin, begin + batch_};
}

// R. Fisher, F. Yates: every place trades with a random one at or before it.
void DataLoader::shuffle(std::int64_t epoch) {
  order_.resize(static_cast<std::size_t>(examples_));
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
  for (std::size_t n = order_.size() - 1; n > 0; --n) {
    std::swap(order_[n], order_[uniform_index(key_, static_cast<std::uint64_t>(epoch), n, n + 1)]);
  }
  shuffled_epoch_ = epoch;
}

}  // namespace basin::tasks

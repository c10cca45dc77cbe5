// Orders that are computed: each is a permutation, and they look like chance.
#include "tasks/keyed_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "tasks/data_loader.h"

namespace basin::tasks {
namespace {

std::vector<std::int64_t> all(std::int64_t size, std::uint64_t key, std::uint64_t stream) {
  const KeyedOrder order(size, key, stream);
  std::vector<std::int64_t> numbers;
  for (std::int64_t place = 0; place < size; ++place) {
    numbers.push_back(order[place]);
  }
  return numbers;
}

TEST(KeyedOrder, IsAPermutationOfEverySize) {
  for (std::int64_t size = 1; size <= 300; ++size) {
    std::vector<std::int64_t> numbers = all(size, 7, static_cast<std::uint64_t>(size));
    std::sort(numbers.begin(), numbers.end());
    std::vector<std::int64_t> expected(static_cast<std::size_t>(size));
    std::iota(expected.begin(), expected.end(), 0);
    ASSERT_EQ(numbers, expected) << size;
  }
}

TEST(KeyedOrder, IsAFunctionOfKeyAndStream) {
  EXPECT_EQ(all(1000, 1, 2), all(1000, 1, 2));
  EXPECT_NE(all(1000, 1, 2), all(1000, 2, 2));
  EXPECT_NE(all(1000, 1, 2), all(1000, 1, 3));
}

// Every number is equally likely at every place: 2000 orders of 5.
TEST(KeyedOrder, IsEven) {
  int count[5][5] = {};
  for (std::uint64_t stream = 0; stream < 2000; ++stream) {
    const std::vector<std::int64_t> numbers = all(5, 3, stream);
    for (std::size_t place = 0; place < 5; ++place) {
      ++count[place][numbers[place]];
    }
  }
  for (const auto& place : count) {
    for (const int times : place) {
      // 400 expected with a deviation of sqrt(2000 * 0.2 * 0.8) = 18: five of them.
      EXPECT_TRUE(times >= 310 && times <= 490) << times;
    }
  }
}

TEST(KeyedOrder, NeighboursAreFarApart) {
  const std::int64_t size = std::int64_t{1} << 40;
  const KeyedOrder order(size, 5, 0);
  int near = 0;
  for (std::int64_t place = 0; place < 1000; ++place) {
    const std::int64_t distance = order[place + 1] - order[place];
    near += distance > -size / 100 && distance < size / 100 ? 1 : 0;
  }
  // Two random numbers are that near with a probability of 0.02: 20 expected, deviation 4.4.
  EXPECT_TRUE(near <= 42) << near;
}

TEST(DataLoader, MoreExamplesThanAListHoldsAreVisitedOnceAllTheSame) {
  const std::int64_t examples = DataLoader::kMostShuffled + 1;
  const std::int64_t batch = 4096;
  DataLoader loader(examples, batch, 1);
  std::vector<bool> seen(static_cast<std::size_t>(examples), false);
  for (std::int64_t step = 0; step < loader.batches_per_epoch(); step += 5) {
    for (const std::int64_t number : loader.numbers(step)) {
      ASSERT_TRUE(number >= 0 && number < examples);
      ASSERT_FALSE(seen[static_cast<std::size_t>(number)]) << number << " twice";
      seen[static_cast<std::size_t>(number)] = true;
    }
  }
  EXPECT_NE(loader.numbers(0), loader.numbers(loader.batches_per_epoch())) << "epochs 0 and 1";
  EXPECT_EQ(loader.numbers(5), DataLoader(examples, batch, 1).numbers(5));
  EXPECT_NE(loader.numbers(5), DataLoader(examples, batch, 2).numbers(5));
}

TEST(DataLoader, NeedsNoMemoryForTheOrderOfVeryManyExamples) {
  // A list of these would take 8 TB.
  DataLoader loader(std::int64_t{1} << 40, 32, 1);
  EXPECT_EQ(loader.numbers(123456789).size(), 32u);
}

}  // namespace
}  // namespace basin::tasks

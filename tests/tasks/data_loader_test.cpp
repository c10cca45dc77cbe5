#include "tasks/data_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"

namespace basin::tasks {
namespace {

using Numbers = std::vector<std::int64_t>;

Numbers epoch(DataLoader& loader, std::int64_t number) {
  Numbers all;
  for (std::int64_t n = 0; n < loader.batches_per_epoch(); ++n) {
    const Numbers batch = loader.numbers(number * loader.batches_per_epoch() + n);
    all.insert(all.end(), batch.begin(), batch.end());
  }
  return all;
}

Numbers sorted(Numbers numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

TEST(DataLoader, EveryEpochIsAPermutation) {
  Numbers all(60);
  std::iota(all.begin(), all.end(), 0);
  DataLoader loader(60, 5, 1);
  EXPECT_EQ(loader.batches_per_epoch(), 12);
  Numbers previous = all;
  for (std::int64_t e = 0; e < 4; ++e) {
    const Numbers order = epoch(loader, e);
    EXPECT_EQ(sorted(order), all) << e;
    EXPECT_NE(order, previous) << e;
    previous = order;
  }
}

TEST(DataLoader, LeavesOutWhatDoesNotFillABatchButNotAlwaysTheSame) {
  DataLoader loader(10, 4, 1);
  EXPECT_EQ(loader.batches_per_epoch(), 2);
  std::vector<bool> seen(10, false);
  for (std::int64_t e = 0; e < 20; ++e) {
    const Numbers order = sorted(epoch(loader, e));
    ASSERT_EQ(order.size(), 8u);
    EXPECT_EQ(std::adjacent_find(order.begin(), order.end()), order.end()) << "an example twice";
    for (const std::int64_t number : order) {
      ASSERT_TRUE(number >= 0 && number < 10);
      seen[static_cast<std::size_t>(number)] = true;
    }
  }
  // An example is left out of all twenty epochs with a probability of 0.2^20.
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 10);
}

TEST(DataLoader, TheOrderIsAFunctionOfSeedAndEpoch) {
  DataLoader first(50, 5, 1);
  DataLoader again(50, 5, 1);
  DataLoader other(50, 5, 2);
  EXPECT_EQ(epoch(first, 3), epoch(again, 3));
  EXPECT_NE(epoch(first, 3), epoch(other, 3));
  EXPECT_NE(epoch(first, 3), epoch(first, 4));
  EXPECT_EQ(epoch(first, 0), epoch(again, 0)) << "after later epochs";
}

TEST(DataLoader, ContinuesAtAnyStep) {
  DataLoader straight(23, 4, 9);
  std::vector<Numbers> steps;
  for (std::int64_t step = 0; step < 30; ++step) {
    steps.push_back(straight.numbers(step));
  }
  for (std::int64_t from = 0; from < 30; ++from) {
    DataLoader resumed(23, 4, 9);
    for (std::int64_t step = from; step < 30; ++step) {
      ASSERT_EQ(resumed.numbers(step), steps[static_cast<std::size_t>(step)])
          << from << " " << step;
    }
  }
  EXPECT_EQ(straight.numbers(2), steps[2]) << "backwards";
}

TEST(DataLoader, CountsEpochs) {
  const DataLoader loader(23, 4, 9);  // five batches
  EXPECT_EQ(loader.epoch_of(0), 0);
  EXPECT_EQ(loader.epoch_of(4), 0);
  EXPECT_EQ(loader.epoch_of(5), 1);
  EXPECT_EQ(loader.epoch_of(52), 10);
}

// Every example is equally likely at every place: 2000 epochs of 5 examples.
TEST(DataLoader, ShufflesEvenly) {
  DataLoader loader(5, 5, 4);
  int count[5][5] = {};
  for (std::int64_t e = 0; e < 2000; ++e) {
    const Numbers order = loader.numbers(e);
    for (std::size_t place = 0; place < 5; ++place) {
      ++count[place][order[place]];
    }
  }
  for (const auto& place : count) {
    for (const int times : place) {
      // 400 expected with a deviation of sqrt(2000 * 0.2 * 0.8) = 18: five of them.
      EXPECT_TRUE(times >= 310 && times <= 490) << times;
    }
  }
}

TEST(DataLoader, OneExampleAndWholeBatch) {
  DataLoader one(1, 1, 0);
  EXPECT_EQ(one.numbers(7), Numbers{0});
  DataLoader whole(6, 6, 0);
  EXPECT_EQ(whole.batches_per_epoch(), 1);
  EXPECT_EQ(sorted(whole.numbers(3)), (Numbers{0, 1, 2, 3, 4, 5}));
}

TEST(DataLoader, RefusesBatchesThatCannotBe) {
  for (const std::int64_t batch : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{11}}) {
    EXPECT_TRUE(test::refuses<Error>([&] { DataLoader(10, batch, 0); },
                                     {"between 1", "10", "got " + std::to_string(batch)}));
  }
  EXPECT_TRUE(test::refuses<Error>([] { DataLoader(0, 1, 0); }, {"got 1"}));
}

}  // namespace
}  // namespace basin::tasks

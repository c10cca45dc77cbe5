#include "tasks/copying/copying.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/functions/reduce.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin::tasks {
namespace {

using test::refuses;
using test::same_bits;

constexpr Split kSplits[] = {Split::train, Split::validation, Split::test};

std::unique_ptr<Task> make(std::int64_t length, std::int64_t vocabulary, std::uint64_t seed = 0) {
  TaskOptions options;
  options.length = length;
  options.vocabulary = vocabulary;
  options.seed = seed;
  return make_task(options);
}

std::vector<std::int64_t> first(std::int64_t count) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

TEST(Copying, AnExampleIsPrefixMarkerAndHiddenSecondHalf) {
  for (const std::int64_t length : {std::int64_t{4}, std::int64_t{10}, std::int64_t{128}}) {
    const auto task = make(length, 20);
    const std::int64_t prefix = length / 2 - 1;
    EXPECT_EQ(task->length(), length - 1);
    EXPECT_EQ(task->vocabulary(), 20);
    for (const Split split : kSplits) {
      const Batch batch = task->batch(split, first(50));
      ASSERT_EQ(batch.tokens.shape(), (Shape{50, length - 1}));
      ASSERT_EQ(batch.targets.shape(), (Shape{50, length - 1}));
      EXPECT_FALSE(batch.lengths.defined());
      for (std::int64_t b = 0; b < 50; ++b) {
        const auto tokens = batch.tokens.select(0, b).to_vector<std::int64_t>();
        const auto targets = batch.targets.select(0, b).to_vector<std::int64_t>();
        const auto sources = batch.sources.select(0, b).to_vector<std::int64_t>();
        for (std::int64_t n = 0; n < length - 1; ++n) {
          const std::int64_t token = tokens[static_cast<std::size_t>(n)];
          const std::int64_t target = targets[static_cast<std::size_t>(n)];
          if (n < prefix) {
            // A symbol: neither the marker (18) nor the padding (19), which therefore say what they
            // say.
            EXPECT_TRUE(token >= 0 && token < 18) << token;
            EXPECT_EQ(target, kIgnored);
          } else if (n == prefix) {
            EXPECT_EQ(token, 18);
            EXPECT_EQ(target, kIgnored);
          } else {
            EXPECT_EQ(token, 19) << "the second half is visible";
            EXPECT_EQ(target, tokens[static_cast<std::size_t>(n - prefix - 1)]);
          }
          EXPECT_EQ(sources[static_cast<std::size_t>(n)], n > prefix ? n - prefix - 1 : -1);
          if (n == length - 2) {
            EXPECT_NE(target, kIgnored);
          }
        }
      }
    }
  }
}

TEST(Copying, AllSymbolsOccurEquallyOften) {
  const auto task = make(128, 10);
  const auto tokens = task->batch(Split::train, first(500)).tokens.to_vector<std::int64_t>();
  std::vector<double> count(10, 0);
  for (const std::int64_t token : tokens) {
    count[static_cast<std::size_t>(token)] += 1;
  }
  for (std::size_t symbol = 0; symbol < 8; ++symbol) {
    // 31500 symbols, an eighth each, with a deviation of sqrt(31500 * 7) / 8 = 59: five of them.
    EXPECT_TRUE(std::abs(count[symbol] - 31500.0 / 8) <= 295) << symbol << " " << count[symbol];
  }
}

TEST(Copying, AnExampleIsAFunctionOfItsNumber) {
  const auto task = make(20, 64);
  const Batch together = task->batch(Split::train, std::vector<std::int64_t>{5, 99999, 0});
  const Batch alone = task->batch(Split::train, std::vector<std::int64_t>{99999});
  EXPECT_TRUE(same_bits(together.tokens.slice(0, 1, 2), alone.tokens));
  EXPECT_TRUE(same_bits(together.targets.slice(0, 1, 2), alone.targets));
  EXPECT_FALSE(same_bits(together.tokens.slice(0, 0, 1), alone.tokens));
  const Batch again = make(20, 64)->batch(Split::train, std::vector<std::int64_t>{5, 99999, 0});
  EXPECT_TRUE(same_bits(again.tokens, together.tokens));
  const Batch seeded = make(20, 64, 1)->batch(Split::train, std::vector<std::int64_t>{5, 99999, 0});
  EXPECT_FALSE(same_bits(seeded.tokens, together.tokens));
}

// 63 symbols of 62 kinds: two examples agree by accident about never.
TEST(Copying, NoExampleIsInTwoSplits) {
  const auto task = make(128, 64);
  std::set<std::vector<std::int64_t>> seen;
  std::size_t examples = 0;
  for (const Split split : kSplits) {
    const Batch batch = task->batch(split, first(2000));
    for (std::int64_t b = 0; b < 2000; ++b) {
      seen.insert(batch.tokens.select(0, b).to_vector<std::int64_t>());
      ++examples;
    }
  }
  EXPECT_EQ(seen.size(), examples);
}

TEST(Copying, HasTheExamplesOfThePaper) {
  const auto task = make(128, 64);
  EXPECT_EQ(task->examples(Split::train), 100000);
  EXPECT_EQ(task->examples(Split::validation), 10000);
  EXPECT_EQ(task->examples(Split::test), 10000);
  EXPECT_TRUE(task->higher_is_better());
  EXPECT_EQ(task->metric_name(), "second-half token accuracy");
  for (const Split split : kSplits) {
    for (const std::int64_t bad : {std::int64_t{-1}, task->examples(split)}) {
      EXPECT_TRUE(refuses<Error>(
          [&] {
            task->batch(split, std::vector<std::int64_t>{0, bad});
          },
          {name_of(split), std::to_string(bad)}));
    }
  }
}

TEST(Copying, ChanceIsOneOfTheSymbols) {
  const std::vector<Metric> baselines = make(128, 64)->baselines();
  ASSERT_EQ(baselines.front().name, "chance");
  EXPECT_DOUBLE_EQ(baselines.front().value, 1.0 / 62);
}

TEST(Copying, Errors) {
  for (const std::int64_t length : {std::int64_t{2}, std::int64_t{7}, std::int64_t{-4}}) {
    EXPECT_TRUE(refuses<Error>([&] { make(length, 64); },
                               {"even and at least 4", "got " + std::to_string(length)}));
  }
  for (const std::int64_t vocabulary : {std::int64_t{3}, std::int64_t{1}, std::int64_t{-1}}) {
    EXPECT_TRUE(refuses<Error>([&] { make(10, vocabulary); },
                               {"at least 4", "got " + std::to_string(vocabulary)}));
  }
}

// Logits that predict the target everywhere but in the listed (sample, position) places. They are
// negative, so that a threshold would see nothing.
Tensor logits_with_errors(const Batch& batch, std::int64_t vocabulary,
                          const std::vector<std::pair<std::int64_t, std::int64_t>>& wrong) {
  const std::int64_t rows = batch.targets.size(0);
  const std::int64_t length = batch.targets.size(1);
  Tensor logits = Tensor::full({rows, length, vocabulary}, -5.0, DType::f32);
  float* x = logits.mutable_data<float>();
  const auto targets = batch.targets.to_vector<std::int64_t>();
  for (std::int64_t n = 0; n < rows * length; ++n) {
    const std::int64_t target = targets[static_cast<std::size_t>(n)];
    // What is predicted where nothing counts must not matter: always symbol 0.
    x[n * vocabulary + (target == kIgnored ? 0 : target)] = -1.0f;
  }
  for (const auto& [sample, position] : wrong) {
    const std::int64_t row = sample * length + position;
    const std::int64_t target = targets[static_cast<std::size_t>(row)];
    x[row * vocabulary + (target + 1) % vocabulary] = -0.5f;
  }
  return logits;
}

double value_of(const std::vector<Metric>& metrics, const std::string& name) {
  for (const Metric& metric : metrics) {
    if (metric.name == name) {
      return metric.value;
    }
  }
  ADD_FAILURE() << "there is no metric " << name;
  return std::nan("");
}

TEST(CopyingMetrics, CountSymbolsSequencesAndPositions) {
  const auto task = make(10, 12);  // prefix of 4: positions 5 ... 8 count
  const auto metrics = task->metrics();
  const Batch batch = task->batch(Split::validation, first(4));
  // Sample 1 misses its first symbol, sample 2 the last two.
  metrics->add(argmax(logits_with_errors(batch, 12, {{1, 5}, {2, 7}, {2, 8}}), -1), batch, 0.0);
  auto result = metrics->result();
  EXPECT_EQ(result.front().name, "second-half token accuracy");
  EXPECT_DOUBLE_EQ(result.front().value, 13.0 / 16);
  EXPECT_DOUBLE_EQ(value_of(result, "exact-sequence rate"), 2.0 / 4);
  EXPECT_DOUBLE_EQ(value_of(result, "accuracy at the first position"), 3.0 / 4);
  EXPECT_DOUBLE_EQ(value_of(result, "accuracy at the last position"), 3.0 / 4);

  // A second batch of another size is added, not averaged.
  const Batch more = task->batch(Split::validation, first(1));
  metrics->add(argmax(logits_with_errors(more, 12, {}), -1), more, 0.0);
  result = metrics->result();
  EXPECT_DOUBLE_EQ(result.front().value, 17.0 / 20);
  EXPECT_DOUBLE_EQ(value_of(result, "exact-sequence rate"), 3.0 / 5);
  EXPECT_DOUBLE_EQ(value_of(result, "accuracy at the first position"), 4.0 / 5);
}

TEST(CopyingMetrics, MistakesWhereNothingIsAskedDoNotCount) {
  const auto task = make(10, 12);
  const auto metrics = task->metrics();
  const Batch batch = task->batch(Split::validation, first(3));
  metrics->add(argmax(logits_with_errors(batch, 12, {{0, 0}, {1, 3}, {2, 4}}), -1), batch, 0.0);
  EXPECT_DOUBLE_EQ(metrics->result().front().value, 1.0);
}

}  // namespace
}  // namespace basin::tasks

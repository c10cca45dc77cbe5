#include "tasks/recall/recall.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "nn/language_model.h"
#include "tasks/training.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"

namespace basin::tasks {
namespace {

using test::refuses;
using test::same_bits;

constexpr Split kSplits[] = {Split::train, Split::validation, Split::test};

std::unique_ptr<Task> make(std::int64_t length, std::int64_t vocabulary, std::int64_t pairs = 0,
                           std::uint64_t seed = 0) {
  TaskOptions options;
  options.name = "recall";
  options.length = length;
  options.vocabulary = vocabulary;
  options.pairs = pairs;
  options.seed = seed;
  return make_task(options);
}

std::vector<std::int64_t> first(std::int64_t count) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

struct Row {
  std::vector<std::int64_t> tokens, targets, sources;
};

Row row_of(const Batch& batch, std::int64_t b) {
  return {batch.tokens.select(0, b).to_vector<std::int64_t>(),
          batch.targets.select(0, b).to_vector<std::int64_t>(),
          batch.sources.select(0, b).to_vector<std::int64_t>()};
}

TEST(Recall, AnExampleIsPairsMarkerAndQuestions) {
  struct Case {
    std::int64_t length, vocabulary, pairs, has;
  };
  for (const Case c : {Case{4, 4, 0, 1}, Case{25, 33, 0, 8}, Case{30, 33, 8, 8}, Case{64, 64, 3, 3},
                       Case{66, 64, 0, 21}}) {
    const auto task = make(c.length, c.vocabulary, c.pairs);
    EXPECT_EQ(task->length(), c.length);
    EXPECT_EQ(task->vocabulary(), c.vocabulary);
    const std::int64_t keys = (c.vocabulary - 1) / 2;
    const std::int64_t marker = c.vocabulary - 1;
    const auto is_key = [&](std::int64_t token) { return token >= 0 && token < keys; };
    const auto is_value = [&](std::int64_t token) { return token >= keys && token < marker; };
    for (const Split split : kSplits) {
      const Batch batch = task->batch(split, first(40));
      ASSERT_EQ(batch.tokens.shape(), (Shape{40, c.length}));
      ASSERT_EQ(batch.targets.shape(), (Shape{40, c.length}));
      ASSERT_EQ(batch.sources.shape(), (Shape{40, c.length}));
      for (std::int64_t b = 0; b < 40; ++b) {
        const Row row = row_of(batch, b);
        const std::int64_t questions = c.length - c.has;
        std::set<std::int64_t> stored;
        for (std::int64_t n = 0; n < questions - 1; ++n) {
          const auto at = static_cast<std::size_t>(n);
          EXPECT_EQ(row.targets[at], kIgnored);
          EXPECT_EQ(row.sources[at], -1);
          if (is_key(row.tokens[at])) {
            EXPECT_TRUE(stored.insert(row.tokens[at]).second) << "a key twice";
            EXPECT_TRUE(is_value(row.tokens[at + 1]));
          } else {
            EXPECT_TRUE(is_value(row.tokens[at]));
          }
        }
        EXPECT_EQ(static_cast<std::int64_t>(stored.size()), c.has);
        EXPECT_EQ(row.tokens[static_cast<std::size_t>(questions - 1)], marker);
        std::set<std::int64_t> asked;
        for (auto at = static_cast<std::size_t>(questions); at < row.tokens.size(); ++at) {
          asked.insert(row.tokens[at]);
          const auto source = static_cast<std::size_t>(row.sources[at]);
          EXPECT_EQ(row.tokens[source], row.targets[at]);
          EXPECT_EQ(row.tokens[source - 1], row.tokens[at]) << "the value of another key";
        }
        EXPECT_EQ(asked, stored) << "every key is asked for once";
      }
    }
  }
}

// No fixed place holds an answer, and the order of the questions says nothing about it.
TEST(Recall, PlacesAndOrderVary) {
  const auto task = make(40, 33, 8);
  const Batch batch = task->batch(Split::train, first(300));
  std::vector<std::set<std::int64_t>> sources(8);
  double inner = 0;
  for (std::int64_t b = 0; b < 300; ++b) {
    const Row row = row_of(batch, b);
    for (std::size_t n = 0; n < 8; ++n) {
      sources[n].insert(row.sources[32 + n]);
      inner += (static_cast<double>(n) - 3.5) * static_cast<double>(row.sources[32 + n]);
    }
  }
  for (const std::set<std::int64_t>& places : sources) {
    EXPECT_TRUE(places.size() >= 25) << places.size();
  }
  // The correlation of question and place: 2400 products of deviation 2.3 * 8.5; five of them.
  EXPECT_TRUE(std::abs(inner) <= 5 * 2.3 * 8.5 * std::sqrt(2400.0)) << inner;
}

TEST(Recall, AnExampleIsAFunctionOfItsNumber) {
  const auto task = make(25, 33);
  const Batch together = task->batch(Split::train, std::vector<std::int64_t>{5, 99999, 0});
  const Batch alone = task->batch(Split::train, std::vector<std::int64_t>{99999});
  EXPECT_TRUE(same_bits(together.tokens.slice(0, 1, 2), alone.tokens));
  EXPECT_TRUE(same_bits(together.targets.slice(0, 1, 2), alone.targets));
  EXPECT_TRUE(same_bits(together.sources.slice(0, 1, 2), alone.sources));
  EXPECT_FALSE(same_bits(together.tokens.slice(0, 0, 1), alone.tokens));
  const Batch seeded =
      make(25, 33, 0, 1)->batch(Split::train, std::vector<std::int64_t>{5, 99999, 0});
  EXPECT_FALSE(same_bits(seeded.tokens, together.tokens));
}

TEST(Recall, NoExampleIsInTwoSplits) {
  const auto task = make(64, 64);
  std::set<std::vector<std::int64_t>> seen;
  for (const Split split : kSplits) {
    EXPECT_EQ(task->examples(split), split == Split::train ? 100000 : 10000);
    const Batch batch = task->batch(split, first(1000));
    for (std::int64_t b = 0; b < 1000; ++b) {
      seen.insert(batch.tokens.select(0, b).to_vector<std::int64_t>());
    }
    for (const std::int64_t bad : {std::int64_t{-1}, task->examples(split)}) {
      EXPECT_TRUE(refuses<Error>(
          [&] {
            task->batch(split, std::vector<std::int64_t>{0, bad});
          },
          {name_of(split), std::to_string(bad)}));
    }
  }
  EXPECT_EQ(seen.size(), 3000u);
}

TEST(Recall, Baselines) {
  const std::vector<Metric> baselines = make(25, 33)->baselines();
  ASSERT_EQ(baselines.size(), 2u);
  EXPECT_EQ(baselines[0].name, "chance");
  EXPECT_DOUBLE_EQ(baselines[0].value, 1.0 / 16);
  EXPECT_EQ(baselines[1].name, "value of a random pair");
  EXPECT_DOUBLE_EQ(baselines[1].value, 1.0 / 8 + 7.0 / 8 / 16);
  EXPECT_EQ(make(25, 33)->metric_name(), "recall accuracy");
  EXPECT_TRUE(make(25, 33)->higher_is_better());
}

// What the second baseline says is what such a predictor gets.
TEST(Recall, AValueOfARandomPairIsRightAsOftenAsItSays) {
  const auto task = make(25, 33);
  const Batch batch = task->batch(Split::validation, first(2000));
  double hits = 0;
  for (std::int64_t b = 0; b < 2000; ++b) {
    const Row row = row_of(batch, b);
    for (std::size_t n = 17; n < 25; ++n) {
      for (std::size_t pair = 0; pair < 8; ++pair) {
        hits += row.tokens[2 * pair + 1] == row.targets[n] ? 1.0 / 8 : 0;
      }
    }
  }
  // 2000 examples whose means have a deviation below 0.1.
  EXPECT_NEAR(hits / 16000, task->baselines()[1].value, 5 * 0.1 / std::sqrt(2000.0));
}

TEST(Recall, Errors) {
  const auto refused = [](std::int64_t length, std::int64_t vocabulary, std::int64_t pairs,
                          const std::vector<std::string>& parts) {
    EXPECT_TRUE(refuses<Error>([&] { make(length, vocabulary, pairs); }, parts));
  };
  refused(3, 33, 0, {"at least 4", "got 3"});
  refused(25, 3, 0, {"at least 4", "got 3"});
  refused(25, 33, 9, {"1 to 8 pairs", "length of 25", "got 9"});
  refused(25, 33, -1, {"1 to 8 pairs", "got -1"});
  refused(25, 16, 0, {"8 pairs", "vocabulary of 16 has 7", "at least 17"});
  TaskOptions options;  // copying
  options.pairs = 4;
  EXPECT_TRUE(refuses<Error>([&] { make_task(options); }, {"'copying'", "no pairs", "4"}));
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

TEST(RecallMetrics, CountAnswersSequencesAndDistances) {
  const auto task = make(10, 11);  // 3 pairs, questions at 7, 8, 9
  const Batch batch = task->batch(Split::validation, first(50));
  const std::vector<std::int64_t> targets = batch.targets.to_vector<std::int64_t>();
  const std::vector<std::int64_t> sources = batch.sources.to_vector<std::int64_t>();
  // The farthest answer is wrong in the first 20 examples, the nearest one in the first 5.
  std::vector<std::int64_t> predicted = targets;
  for (std::int64_t b = 0; b < 50; ++b) {
    std::int64_t nearest = 7;
    std::int64_t farthest = 7;
    const auto distance = [&](std::int64_t n) {
      return n - sources[static_cast<std::size_t>(b * 10 + n)];
    };
    for (std::int64_t n = 0; n < 10; ++n) {
      if (n < 7) {
        predicted[static_cast<std::size_t>(b * 10 + n)] = 3;  // what is said here does not matter
        continue;
      }
      nearest = distance(n) < distance(nearest) ? n : nearest;
      farthest = distance(n) > distance(farthest) ? n : farthest;
    }
    ASSERT_NE(nearest, farthest);
    if (b < 20) {
      predicted[static_cast<std::size_t>(b * 10 + farthest)] = 0;  // a key
    }
    if (b < 5) {
      predicted[static_cast<std::size_t>(b * 10 + nearest)] = 0;
    }
  }
  const auto metrics = task->metrics();
  metrics->add(Tensor::from<std::int64_t>({50, 10}, predicted), batch, 0.0);
  const std::vector<Metric> result = metrics->result();
  EXPECT_EQ(result.front().name, "recall accuracy");
  EXPECT_DOUBLE_EQ(result.front().value, 1 - 25.0 / 150);
  EXPECT_DOUBLE_EQ(value_of(result, "exact-sequence rate"), 30.0 / 50);
  EXPECT_DOUBLE_EQ(value_of(result, "accuracy at the farthest answer"), 30.0 / 50);
  EXPECT_DOUBLE_EQ(value_of(result, "accuracy at the nearest answer"), 45.0 / 50);
}

// A log of a run has one column per metric: every evaluation has all of them, however short.
TEST(RecallMetrics, AreTheSameForOneExample) {
  const auto task = make(30, 11, 1);
  for (std::int64_t number = 0; number < 20; ++number) {
    const Batch batch = task->batch(Split::test, std::vector<std::int64_t>{number});
    const auto metrics = task->metrics();
    metrics->add(batch.tokens, batch, 0.0);  // echoes the key: wrong
    ASSERT_EQ(metrics->result().size(), 4u);
    for (const Metric& metric : metrics->result()) {
      EXPECT_EQ(metric.value, 0.0) << metric.name;
    }
  }
}

// Attention learns it: two pairs, in a second.
TEST(Recall, AttentionLearnsIt) {
  const auto task = make(7, 9);
  nn::BackboneOptions options;
  options.vocabulary = task->vocabulary();
  options.max_length = task->length();
  options.width = 32;
  options.heads = 2;
  options.mlp_ratio = 2;
  options.embedding_deviation = 0.2;
  nn::LanguageModel model(options, 1);
  TrainingOptions training;
  training.schedule.peak = 3e-3;
  TrainingRun run(*task, model, training);
  for (int n = 0; n < 400; ++n) {
    run.step();
  }
  const double accuracy = evaluate(model, *task, Split::validation, 64, 256).metrics.front().value;
  // 0.625 knows both values and not which is whose.
  EXPECT_TRUE(accuracy > 0.9) << accuracy;
}

}  // namespace
}  // namespace basin::tasks

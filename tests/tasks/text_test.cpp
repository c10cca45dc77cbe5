// Next-byte prediction: how a file becomes examples, and how they are judged.
#include "tasks/text/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/same_bits.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

using test::refuses;
using test::TemporaryFolder;
using test::write_bytes;

std::unique_ptr<Task> make(const std::string& path, std::int64_t length) {
  TaskOptions options;
  options.name = "text";
  options.data = path;
  options.length = length;
  return make_task(options);
}

// Bytes of all 256 values in no order.
std::string some_bytes(std::size_t count) {
  std::string bytes;
  for (std::size_t n = 0; n < count; ++n) {
    bytes.push_back(static_cast<char>((n * 167 + n * n * 31) % 256));
  }
  return bytes;
}

std::vector<std::int64_t> one(std::int64_t number) { return {number}; }

// The tokens and targets of all examples of a split that have a target.
struct Pairs {
  std::string tokens, targets;
  std::int64_t ignored = 0;
};

Pairs all_pairs(const Task& task, Split split) {
  Pairs pairs;
  for (std::int64_t n = 0; n < task.examples(split); ++n) {
    const Batch batch = task.batch(split, one(n));
    const auto tokens = batch.tokens.to_vector<std::int64_t>();
    const auto targets = batch.targets.to_vector<std::int64_t>();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (targets[i] == kIgnored) {
        ++pairs.ignored;
      } else {
        EXPECT_EQ(pairs.ignored, 0) << "something is predicted after the padding";
        pairs.tokens.push_back(static_cast<char>(tokens[i]));
        pairs.targets.push_back(static_cast<char>(targets[i]));
      }
    }
  }
  return pairs;
}

TEST(Text, EveryHeldBackByteIsPredictedOnceFromTheOneBefore) {
  const TemporaryFolder folder;
  const std::string path = folder / "text";
  for (const std::size_t size : {std::size_t{1000}, std::size_t{1009}, std::size_t{640}}) {
    const std::string bytes = some_bytes(size);
    write_bytes(path, bytes);
    const std::string held_back = bytes.substr(size - size / 10);
    for (const std::int64_t length : {std::int64_t{1}, std::int64_t{7}, std::int64_t{9},
                                      std::int64_t{63}, std::int64_t{99}, std::int64_t{128}}) {
      const auto task = make(path, length);
      for (const Split split : {Split::validation, Split::test}) {
        const Pairs pairs = all_pairs(*task, split);
        EXPECT_EQ(pairs.tokens, held_back.substr(0, held_back.size() - 1)) << size << " " << length;
        EXPECT_EQ(pairs.targets, held_back.substr(1)) << size << " " << length;
        EXPECT_LT(pairs.ignored, length) << "a chunk of padding only";
      }
    }
  }
}

TEST(Text, TheTrainingPartIsTheRestWithoutAShortLastChunk) {
  const TemporaryFolder folder;
  const std::string bytes = some_bytes(1000);
  write_bytes(folder / "text", bytes);
  const std::string part = bytes.substr(0, 900);
  for (const std::int64_t length : {std::int64_t{1}, std::int64_t{7}, std::int64_t{31}}) {
    const auto task = make(folder / "text", length);
    const Pairs pairs = all_pairs(*task, Split::train);
    const auto used = static_cast<std::size_t>(task->examples(Split::train) * length);
    EXPECT_GT(used + static_cast<std::size_t>(length), part.size() - 1)
        << "a whole chunk is missing";
    EXPECT_EQ(pairs.tokens, part.substr(0, used));
    EXPECT_EQ(pairs.targets, part.substr(1, used));
    EXPECT_EQ(pairs.ignored, 0);
  }
}

TEST(Text, ABatchHoldsTheExamplesOfItsNumbers) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", some_bytes(1000));
  const auto task = make(folder / "text", 16);
  const Batch batch = task->batch(Split::train, std::vector<std::int64_t>{3, 0, 3});
  EXPECT_EQ(batch.tokens.shape(), (Shape{3, 16}));
  EXPECT_FALSE(batch.lengths.defined());
  for (const auto& [row, number] : {std::pair{0, 3}, {1, 0}, {2, 3}}) {
    const Batch alone = task->batch(Split::train, one(number));
    EXPECT_TRUE(test::same_bits(batch.tokens.slice(0, row, row + 1), alone.tokens));
    EXPECT_TRUE(test::same_bits(batch.targets.slice(0, row, row + 1), alone.targets));
  }
  for (const Split split : {Split::train, Split::validation}) {
    for (const std::int64_t bad : {std::int64_t{-1}, task->examples(split)}) {
      EXPECT_TRUE(refuses<Error>([&] { task->batch(split, one(bad)); },
                                 {name_of(split), std::to_string(bad)}));
    }
  }
}

TEST(Text, AByteOfZeroIsAByteLikeAnyOther) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", std::string(200, '\0'));
  const Pairs pairs = all_pairs(*make(folder / "text", 19), Split::validation);
  EXPECT_EQ(pairs.targets, std::string(19, '\0'));
}

TEST(Text, AFileThatIsTooShort) {
  const TemporaryFolder folder;
  const std::string path = folder / "text";
  // 20 bytes: 18 to train on, which is one chunk of 17 and its last target; 2 held back.
  write_bytes(path, some_bytes(20));
  EXPECT_EQ(make(path, 17)->examples(Split::train), 1);
  EXPECT_EQ(make(path, 17)->examples(Split::validation), 1);
  EXPECT_TRUE(refuses<FileError>([&] { make(path, 18); },
                                 {path, "20 bytes", "19 bytes", "shorter length"}));
  write_bytes(path, some_bytes(19));
  EXPECT_TRUE(refuses<FileError>([&] { make(path, 1); }, {path, "19 bytes"}));
  write_bytes(path, "a");
  EXPECT_TRUE(refuses<FileError>([&] { make(path, 1); }, {path, "1 bytes"}));
  write_bytes(path, "");
  EXPECT_TRUE(refuses<FileError>([&] { make(path, 1); }, {path, "empty"}));
  EXPECT_TRUE(refuses<FileError>([&] { make(folder / "missing", 1); },
                                 {folder / "missing", "no such file"}));
  EXPECT_TRUE(refuses<Error>([&] { make(path, -1); }, {"length", "-1"}));
}

TEST(TextMetrics, BitsPerByteIsTheLossPerCountedByteInBits) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", some_bytes(1000));
  const auto task = make(folder / "text", 64);  // 99 targets: 64, and 35 with 29 of padding
  const auto metrics = task->metrics();
  const Tensor predicted = Tensor::zeros({1, 64}, DType::i64);
  const Batch whole = task->batch(Split::validation, one(0));
  const Batch last = task->batch(Split::validation, one(1));
  metrics->add(predicted, whole, 64 * std::log(4.0));
  EXPECT_EQ(metrics->result().front().name, "bits per byte");
  EXPECT_DOUBLE_EQ(metrics->result().front().value, 2.0);
  metrics->add(predicted, last, 35 * std::log(2.0));
  EXPECT_DOUBLE_EQ(metrics->result().front().value, (64 * 2.0 + 35 * 1.0) / 99);
  EXPECT_FALSE(task->higher_is_better());
}

TEST(TextBaselines, AreTheUniformGuessAndTheByteFrequencies) {
  const TemporaryFolder folder;
  // 900 bytes to train on, of which 600 'a' and 300 'b'; held back 50 'a' and 50 'b', the first of
  // which, an 'a', is given and not predicted.
  std::string bytes;
  for (int n = 0; n < 300; ++n) {
    bytes += "aab";
  }
  for (int n = 0; n < 50; ++n) {
    bytes += "ab";
  }
  write_bytes(folder / "text", bytes);
  const std::vector<Metric> baselines = make(folder / "text", 10)->baselines();
  ASSERT_EQ(baselines.size(), 2u);
  EXPECT_EQ(baselines[0].name, "chance");
  EXPECT_DOUBLE_EQ(baselines[0].value, 8.0);
  EXPECT_EQ(baselines[1].name, "byte frequencies");
  const double expected = -(49 * std::log2(601.0 / 1156.0) + 50 * std::log2(301.0 / 1156.0)) / 99;
  EXPECT_TRUE(std::abs(baselines[1].value - expected) <= 1e-12) << baselines[1].value;
}

TEST(TextBaselines, AByteThatWasNeverSeenIsNotImpossible) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", std::string(900, 'a') + std::string(100, 'z'));
  const double bits = make(folder / "text", 10)->baselines()[1].value;
  EXPECT_TRUE(std::abs(bits - std::log2(1156.0)) <= 1e-12) << bits;
}

}  // namespace
}  // namespace basin::tasks

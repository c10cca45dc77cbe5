// Text with tokenizers, folders, other texts to evaluate and overlapping chunks.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tasks/text/text.h"
#include "tasks/tokenizers/character_tokenizer.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tensor/error.h"
#include "tensor/functions/reduce.h"
#include "tests/support/bpe_reference.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

using test::refuses;
using test::TemporaryFolder;
using test::write_bytes;
using Numbers = std::vector<std::int64_t>;

struct Row {
  Numbers tokens, targets, bytes;
};

Row row_of(const Task& task, Split split, std::int64_t number) {
  const Batch batch = task.batch(split, Numbers{number});
  return {batch.tokens.to_vector<std::int64_t>(), batch.targets.to_vector<std::int64_t>(),
          batch.bytes.to_vector<std::int64_t>()};
}

// The counted targets of a split, in order.
Numbers targets_of(const Task& task, Split split) {
  Numbers all;
  for (std::int64_t n = 0; n < task.examples(split); ++n) {
    for (const std::int64_t target : row_of(task, split, n).targets) {
      if (target != kIgnored) {
        all.push_back(target);
      }
    }
  }
  return all;
}

std::int64_t bytes_of(const Task& task, Split split) {
  std::int64_t sum = 0;
  for (std::int64_t n = 0; n < task.examples(split); ++n) {
    const Row row = row_of(task, split, n);
    for (std::size_t i = 0; i < row.bytes.size(); ++i) {
      EXPECT_TRUE(row.targets[i] != kIgnored || row.bytes[i] == 0) << "bytes of no target";
      sum += row.bytes[i];
    }
  }
  return sum;
}

Numbers as_ids(const std::string& bytes) {
  Numbers ids;
  for (const char c : bytes) {
    ids.push_back(static_cast<unsigned char>(c));
  }
  return ids;
}

std::string counting(std::size_t size, int first = 0) {
  std::string text;
  for (std::size_t n = 0; n < size; ++n) {
    text += static_cast<char>((first + static_cast<int>(n)) % 251);
  }
  return text;
}

TaskOptions options_for(const std::string& path, std::int64_t length) {
  TaskOptions options;
  options.name = "text";
  options.data = path;
  options.length = length;
  return options;
}

TEST(TextStride, TrainingChunksBeginThatFarApart) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", counting(100));  // 90 to train on
  TaskOptions options = options_for(folder / "text", 8);
  for (const std::int64_t stride : {1, 3, 8}) {
    options.stride = stride;
    const auto task = make_task(options);
    EXPECT_EQ(task->examples(Split::train), (90 - 1 - 8) / stride + 1);
    for (std::int64_t n = 0; n < task->examples(Split::train); ++n) {
      const Row row = row_of(*task, Split::train, n);
      for (std::int64_t i = 0; i < 8; ++i) {
        ASSERT_EQ(row.tokens[static_cast<std::size_t>(i)], n * stride + i);
        ASSERT_EQ(row.targets[static_cast<std::size_t>(i)], n * stride + i + 1);
      }
    }
    EXPECT_EQ(targets_of(*task, Split::test), as_ids(counting(9, 91))) << "not of evaluation";
  }
}

TEST(TextStride, EvaluationCountsNoTokenTwice) {
  const TemporaryFolder folder;
  for (const std::size_t size : {std::size_t{200}, std::size_t{341}, std::size_t{500}}) {
    write_bytes(folder / "text", counting(size));
    const std::string held_back = counting(size).substr(size - size / 10);
    for (const std::int64_t length : {1, 2, 5, 19, 33, 64}) {
      TaskOptions options = options_for(folder / "text", length);
      for (options.eval_stride = 1; options.eval_stride <= length; ++options.eval_stride) {
        const auto task = make_task(options);
        ASSERT_EQ(targets_of(*task, Split::validation), as_ids(held_back.substr(1)))
            << size << " " << length << " " << options.eval_stride;
      }
    }
  }
}

TEST(TextStride, RefusesWhatIsLongerThanAChunk) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", counting(100));
  for (std::int64_t TaskOptions::*stride : {&TaskOptions::stride, &TaskOptions::eval_stride}) {
    for (const std::int64_t bad : {9, -1}) {
      TaskOptions options = options_for(folder / "text", 8);
      options.*stride = bad;
      EXPECT_TRUE(refuses<Error>([&] { make_task(options); },
                                 {"stride", "between 1 and", "8", std::to_string(bad)}));
    }
  }
}

TEST(TextFolder, DocumentsStayApart) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "texts");
  // 40 bytes, of which 4 are held back: two whole chunks of a, one of b with padding, c cut.
  write_bytes(folder / "texts/a", counting(20, 0));
  write_bytes(folder / "texts/b", counting(3, 100));
  write_bytes(folder / "texts/c", counting(17, 200));
  const auto task = make_task(options_for(folder / "texts", 8));
  ASSERT_EQ(task->examples(Split::train), 4);
  EXPECT_EQ(row_of(*task, Split::train, 0).tokens, as_ids(counting(8, 0)));
  EXPECT_EQ(row_of(*task, Split::train, 1).targets, as_ids(counting(8, 9)));
  const Row b = row_of(*task, Split::train, 2);
  EXPECT_EQ(Numbers(b.tokens.begin(), b.tokens.begin() + 3), as_ids(counting(3, 100)));
  EXPECT_EQ(b.targets,
            (Numbers{101, 102, kIgnored, kIgnored, kIgnored, kIgnored, kIgnored, kIgnored}));
  EXPECT_EQ(row_of(*task, Split::train, 3).tokens, as_ids(counting(8, 200)));
  EXPECT_EQ(targets_of(*task, Split::test), as_ids(counting(3, 214)));
  EXPECT_TRUE(refuses<FileError>([&] { make_task(options_for(folder / "missing", 8)); },
                                 {"missing", "no such file"}));
}

TEST(TextFolder, ManyShortFilesAreTexts) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "texts");
  for (int n = 0; n < 30; ++n) {
    write_bytes(folder / ("texts/" + std::to_string(100 + n)), counting(5, n));
  }
  const auto task = make_task(options_for(folder / "texts", 64));
  EXPECT_EQ(task->examples(Split::train), 27);
  EXPECT_EQ(task->examples(Split::test), 3);
  EXPECT_EQ(targets_of(*task, Split::test).size(), 12u);
}

TEST(TextSplits, OtherTextsTakeThePlaceOfTheHeldBackTenth) {
  const TemporaryFolder folder;
  write_bytes(folder / "data", counting(100, 0));
  write_bytes(folder / "validation", counting(10, 100));
  write_bytes(folder / "test", counting(12, 200));
  TaskOptions options = options_for(folder / "data", 9);
  options.test_data = folder / "test";
  const auto only_test = make_task(options);
  EXPECT_EQ(only_test->examples(Split::train), 9);  // of 90
  EXPECT_EQ(targets_of(*only_test, Split::validation), as_ids(counting(9, 91)));
  EXPECT_EQ(targets_of(*only_test, Split::test), as_ids(counting(11, 201)));
  options.validation_data = folder / "validation";
  const auto both = make_task(options);
  EXPECT_EQ(both->examples(Split::train), 11);  // of 100
  EXPECT_EQ(targets_of(*both, Split::validation), as_ids(counting(9, 101)));
  EXPECT_EQ(targets_of(*both, Split::test), as_ids(counting(11, 201)));
  options.test_data.clear();
  EXPECT_EQ(targets_of(*make_task(options), Split::test), as_ids(counting(9, 101)));
  write_bytes(folder / "validation", "x");
  EXPECT_TRUE(refuses<FileError>([&] { make_task(options); },
                                 {folder / "validation", "1 bytes", "validation"}));
}

TEST(TextSplits, TasksWithoutTextRefuseThem) {
  for (std::string TaskOptions::*option :
       {&TaskOptions::tokenizer, &TaskOptions::validation_data, &TaskOptions::test_data}) {
    TaskOptions options;
    options.*option = "something";
    EXPECT_TRUE(refuses<Error>([&] { make_task(options); }, {"'copying'", "no text"}));
  }
}

TEST(TextCharacters, AreThoseOfTheTrainingPart) {
  const TemporaryFolder folder;
  // 90 characters to train on; of the held-back ten two are unknown, of 3 and 4 bytes.
  std::string text;
  for (int n = 0; n < 30; ++n) {
    text +=
        "a\xC3\xA9"
        "b";
  }
  text +=
      "ab\xE4\xB8\xAD"
      "a\xF0\x9F\x98\x80"
      "b\xC3\xA9"
      "aba";
  write_bytes(folder / "text", text);
  TaskOptions options = options_for(folder / "text", 6);
  options.tokenizer = "characters";
  const auto task = make_task(options);
  EXPECT_EQ(task->vocabulary(), 4);  // unknown, a, b, e with an accent
  EXPECT_EQ(targets_of(*task, Split::test), (Numbers{2, 0, 1, 0, 2, 3, 1, 2, 1}));
  EXPECT_EQ(bytes_of(*task, Split::test), 1 + 3 + 1 + 4 + 1 + 2 + 1 + 1 + 1);
  const std::vector<Metric> baselines = task->baselines();
  EXPECT_DOUBLE_EQ(baselines[0].value, 2.0 * 9 / 15);
  EXPECT_EQ(baselines[1].name, "token frequencies");
  const double bits = -(7 * std::log2(31.0 / 94.0) + 2 * std::log2(1.0 / 94.0));
  EXPECT_TRUE(std::abs(baselines[1].value - bits / 15) <= 1e-12) << baselines[1].value;

  // The same characters from a file, and one more; the ids are those of the file.
  CharacterTokenizer({U'a', U'b', U'c', U'\u00E9'}).save(folder.path());
  options.tokenizer = folder.path();
  const auto from_file = make_task(options);
  EXPECT_EQ(from_file->vocabulary(), 5);
  EXPECT_EQ(targets_of(*from_file, Split::test), (Numbers{2, 0, 1, 0, 2, 4, 1, 2, 1}));
  EXPECT_EQ(bytes_of(*from_file, Split::test), 15);
}

TEST(TextCharacters, OfSeparateTextsAreThoseOfAllOfTheData) {
  const TemporaryFolder folder;
  write_bytes(folder / "data", std::string(99, 'a').append("z"));
  write_bytes(folder / "other", "azq");
  TaskOptions options = options_for(folder / "data", 8);
  options.tokenizer = "characters";
  EXPECT_EQ(make_task(options)->vocabulary(), 2) << "z is held back";
  options.validation_data = folder / "other";
  const auto task = make_task(options);
  EXPECT_EQ(task->vocabulary(), 3);
  EXPECT_EQ(targets_of(*task, Split::test), (Numbers{2, 0}));
}

TEST(TextTokens, MetricsCountBytesAndTokens) {
  const TemporaryFolder folder;
  BpeTables tables = test::byte_tables();
  std::map<std::string, std::int32_t> id;
  for (std::size_t n = 0; n < tables.tokens.size(); ++n) {
    id[tables.tokens[n]] = static_cast<std::int32_t>(n);
  }
  ASSERT_TRUE(test::add_merge(tables, id["a"], id["b"]));
  Gpt2Tokenizer(tables).save(folder.path());
  std::string text;
  for (int n = 0; n < 100; ++n) {
    text += n % 2 == 0 ? "ab" : "a.";
  }
  write_bytes(folder / "text", text);  // 150 tokens: ab, a, "."
  TaskOptions options = options_for(folder / "text", 16);
  options.tokenizer = folder.path();
  const auto task = make_task(options);
  EXPECT_EQ(task->vocabulary(), 257);
  // Held back are 15 tokens of which 14 are targets: five a, five ".", and four ab.
  const Batch batch = task->batch(Split::test, Numbers{0});
  EXPECT_EQ(bytes_of(*task, Split::test), 5 + 5 + 2 * 4);
  std::vector<float> scores(16 * 257, 0.0f);
  for (std::size_t n = 0; n < 16; ++n) {
    scores[n * 257 + static_cast<std::size_t>(id["."])] = 1.0f;
  }
  const Tensor logits = Tensor::from<float>({1, 16, 257}, scores);
  const auto metrics = task->metrics();
  metrics->add(argmax(logits, -1), batch, 36 * std::log(2.0));
  const std::vector<Metric> result = metrics->result();
  ASSERT_EQ(result.size(), 3u);
  EXPECT_EQ(result[0].name, "bits per byte");
  EXPECT_DOUBLE_EQ(result[0].value, 2.0);
  EXPECT_EQ(result[1].name, "bits per token");
  EXPECT_DOUBLE_EQ(result[1].value, 36.0 / 14.0);
  EXPECT_EQ(result[2].name, "token accuracy");
  EXPECT_DOUBLE_EQ(result[2].value, 5.0 / 14.0);
  EXPECT_DOUBLE_EQ(task->baselines()[0].value, std::log2(257.0) * 14.0 / 18.0);
}

TEST(TextTokens, FoldersWithoutATokenizer) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", counting(100));
  TaskOptions options = options_for(folder / "text", 8);
  options.tokenizer = folder.path();
  EXPECT_TRUE(refuses<FileError>([&] { make_task(options); },
                                 {folder.path(), "no tokenizer", "vocab.json and merges.txt"}));
  write_bytes(folder / "merges.txt", "#version: 0.2\n");
  EXPECT_TRUE(refuses<FileError>([&] { make_task(options); }, {"vocab.json", "no such file"}));
  write_bytes(folder / "characters.txt", "");
  EXPECT_TRUE(refuses<FileError>([&] { make_task(options); }, {"two tokenizers"}));
  options.tokenizer = folder / "missing";
  EXPECT_TRUE(refuses<FileError>([&] { make_task(options); }, {folder / "missing"}));
}

TEST(TextDigest, ChangesWithTheTextAndTheTokenizer) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", counting(100));
  TaskOptions options = options_for(folder / "text", 8);
  const std::string digest = make_task(options)->data_digest();
  EXPECT_EQ(make_task(options)->data_digest(), digest);
  options.length = 5;
  options.stride = 2;
  EXPECT_EQ(make_task(options)->data_digest(), digest) << "how it is cut does not matter";
  options.tokenizer = "characters";
  EXPECT_NE(make_task(options)->data_digest(), digest);
  options.tokenizer.clear();
  options.test_data = folder / "text";
  EXPECT_EQ(make_task(options)->data_digest().find(digest), 0u) << "one more part";
  options.test_data.clear();
  write_bytes(folder / "text", counting(99) + "x");
  EXPECT_NE(make_task(options)->data_digest(), digest);
  EXPECT_EQ(make_task(TaskOptions())->data_digest(), "");
}

TEST(TextChanges, AFileThatIsCutOffIsNoticedByTheNextBatch) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", counting(1000));
  const auto task = make_task(options_for(folder / "text", 8));
  (void)task->batch(Split::train, Numbers{0});
  std::filesystem::resize_file(folder / "text", 500);
  EXPECT_TRUE(refuses<FileError>([&] { task->batch(Split::train, Numbers{0}); },
                                 {folder / "text", "was changed", "had 1000 bytes", "has 500"}));
}

TEST(TextProgress, StopsInEveryPhase) {
  const TemporaryFolder folder;
  write_bytes(folder / "text", counting(5000));
  TaskOptions options = options_for(folder / "text", 8);
  options.tokenizer = "characters";
  std::vector<std::string> phases;
  options.progress = [&](const std::string& what, std::int64_t, std::int64_t) {
    if (phases.empty() || phases.back() != what) {
      phases.push_back(what);
    }
    return true;
  };
  make_task(options);
  EXPECT_EQ(phases,
            (std::vector<std::string>{"collecting the characters of " + (folder / "text"),
                                      "reading " + (folder / "text"), "counting the tokens"}));
  for (const std::string& last : phases) {
    options.progress = [&](const std::string& what, std::int64_t, std::int64_t) {
      return what != last;
    };
    EXPECT_THROW(make_task(options), PreparationStopped) << last;
  }
}

}  // namespace
}  // namespace basin::tasks

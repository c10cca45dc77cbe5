// What all tokenizers promise.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "tasks/tokenizers/bpe_trainer.h"
#include "tasks/tokenizers/byte_tokenizer.h"
#include "tasks/tokenizers/character_tokenizer.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/texts.h"

namespace basin::tasks {
namespace {

using test::Random;

// Bytes of all values and text of many kinds.
std::string sample() {
  Random random(3);
  std::string text = test::random_bytes(4000, random);
  text += test::random_text(4000, random);
  return text;
}

std::unique_ptr<Tokenizer> trained(const std::string& kind, const std::string& text) {
  if (kind == "bytes") {
    return std::make_unique<ByteTokenizer>();
  }
  if (kind == "characters") {
    CharacterTrainer trainer;
    trainer.add_piece(text, true);
    return std::make_unique<CharacterTokenizer>(trainer.train());
  }
  BpeTrainer trainer({.vocabulary = 600, .min_frequency = 2});
  trainer.add_piece(text, true);
  return std::make_unique<Gpt2Tokenizer>(trainer.train());
}

class EveryTokenizer : public testing::TestWithParam<std::string> {
 protected:
  const std::string text_ = sample();
  const std::unique_ptr<Tokenizer> tokenizer_ = trained(GetParam(), text_);
};

TEST_P(EveryTokenizer, AnyBytesComeBack) {
  const std::vector<std::int32_t> ids = tokenizer_->encode(text_);
  EXPECT_EQ(tokenizer_->decode(ids), text_);
  EXPECT_TRUE(tokenizer_->encode("").empty());
  EXPECT_EQ(tokenizer_->decode({}), "");
  for (const std::int32_t id : ids) {
    ASSERT_GE(id, 0);
    ASSERT_LT(id, tokenizer_->vocabulary());
  }
  EXPECT_EQ(tokenizer_->name(), GetParam());
  EXPECT_NE(tokenizer_->description().find(std::to_string(tokenizer_->vocabulary())),
            std::string::npos);
}

TEST_P(EveryTokenizer, IdsDoNotDependOnHowTheTextIsCut) {
  const std::vector<std::int32_t> whole = tokenizer_->encode(text_);
  for (const std::size_t step : {1u, 2u, 7u, 100u, 3001u}) {
    std::vector<std::int32_t> ids;
    std::size_t done = 0;
    for (std::size_t known = 0; known < text_.size(); known += step) {
      const std::string_view shown = std::string_view(text_).substr(done, known - done);
      const std::size_t more = tokenizer_->encode_piece(shown, false, ids);
      ASSERT_LE(more, shown.size());
      done += more;
    }
    const std::string_view rest = std::string_view(text_).substr(done);
    EXPECT_EQ(tokenizer_->encode_piece(rest, true, ids), rest.size());
    EXPECT_EQ(ids, whole) << "cut every " << step << " bytes";
  }
}

// Otherwise a text of any length would wait in memory.
TEST_P(EveryTokenizer, OnlyTheEndOfTextWaits) {
  std::vector<std::int32_t> ids;
  const std::string text = "words and more words ";
  EXPECT_GE(tokenizer_->encode_piece(text, false, ids), text.size() - 12);
}

TEST_P(EveryTokenizer, IsReadBackFromItsFiles) {
  const test::TemporaryFolder folder;
  tokenizer_->save(folder.path());
  const bool has_files = !tokenizer_kind(GetParam()).files.empty();
  const auto again = make_tokenizer(GetParam(), has_files ? folder.path() : "");
  ASSERT_EQ(again->vocabulary(), tokenizer_->vocabulary());
  EXPECT_EQ(again->encode(text_), tokenizer_->encode(text_));
  for (std::int32_t id = 0; id < tokenizer_->vocabulary(); ++id) {
    EXPECT_EQ(again->bytes_of(id), tokenizer_->bytes_of(id));
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    EXPECT_NE(entry.path().extension(), ".partial");
  }
}

TEST_P(EveryTokenizer, RefusesIdsOutsideTheVocabulary) {
  const auto size = static_cast<std::int32_t>(tokenizer_->vocabulary());
  for (const std::int32_t id : {size, -1, std::numeric_limits<std::int32_t>::max(),
                                std::numeric_limits<std::int32_t>::min()}) {
    const std::vector<std::int32_t> ids = {0, 1, id};
    EXPECT_TRUE(test::refuses<Error>([&] { tokenizer_->decode(ids); },
                                     {GetParam(), "id " + std::to_string(id), "position 2",
                                      "vocabulary of " + std::to_string(size)}));
  }
}

TEST_P(EveryTokenizer, ManyThreadsGetTheSameIds) {
  const std::vector<std::int32_t> expected = tokenizer_->encode(text_);
  std::vector<std::vector<std::int32_t>> found(4);
  std::vector<std::thread> threads;
  for (auto& ids : found) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5; ++n) {
        ids = tokenizer_->encode(text_);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const auto& ids : found) {
    EXPECT_EQ(ids, expected);
  }
}

TEST_P(EveryTokenizer, SavingIntoNoFolderIsAnError) {
  if (tokenizer_kind(GetParam()).files.empty()) {
    EXPECT_NO_THROW(tokenizer_->save("/no such folder"));
  } else {
    EXPECT_TRUE(test::refuses<FileError>([&] { tokenizer_->save("/no such folder"); },
                                         {"/no such folder/", "cannot be written"}));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryTokenizer, testing::Values("bytes", "characters", "gpt2"),
                         [](const auto& kind) { return kind.param; });

TEST(Tokenizers, KindsAreThoseTested) {
  std::vector<std::string> names;
  for (const TokenizerKind& kind : tokenizer_kinds()) {
    names.push_back(kind.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"bytes", "characters", "gpt2"}));
}

TEST(Tokenizers, FactoryRefusesWhatCannotBe) {
  EXPECT_TRUE(
      test::refuses<Error>([] { make_tokenizer("word"); }, {"'word'", "bytes, characters, gpt2"}));
  EXPECT_TRUE(test::refuses<Error>([] { make_tokenizer("gpt2"); }, {"gpt2", "vocab.json"}));
  EXPECT_TRUE(test::refuses<Error>([] { make_tokenizer("bytes", "x"); }, {"bytes", "'x'"}));
  const test::TemporaryFolder folder;
  EXPECT_TRUE(test::refuses<FileError>([&] { make_tokenizer("gpt2", folder.path()); },
                                       {folder / "vocab.json", "no such file"}));
  EXPECT_TRUE(test::refuses<FileError>([&] { make_tokenizer("characters", folder.path()); },
                                       {folder / "characters.txt", "no such file"}));
}

TEST(ByteTokenizer, IdsAreTheBytes) {
  EXPECT_EQ(ByteTokenizer().encode(std::string("\0a\xFF", 3)),
            (std::vector<std::int32_t>{0, 97, 255}));
}

TEST(CharacterTokenizer, IdsFollowTheCodePoints) {
  CharacterTrainer trainer;
  trainer.add_piece("ba\u00E9\u4E2Da\xFF\U0001F600", true);
  const CharacterTokenizer tokenizer = trainer.train();
  EXPECT_EQ(tokenizer.vocabulary(), 7);
  // The stray byte stands at U+DCFF: above the Chinese character, below the emoji.
  EXPECT_EQ(tokenizer.encode("ab\u00E9\u4E2D\xFF\U0001F600"),
            (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(tokenizer.encode("x\u00E8\xFE"), (std::vector<std::int32_t>{0, 0, 0}));
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{1, 0, 5}), "a\uFFFD\xFF");
}

TEST(CharacterTokenizer, RefusesWhatAreNoCharacters) {
  for (const std::vector<char32_t>& wrong : {std::vector<char32_t>{U'b', U'a'},
                                             {U'a', U'a'},
                                             {0xD800},
                                             {0xDC00},
                                             {0xDC7F},
                                             {0xDD00},
                                             {0x110000}}) {
    EXPECT_TRUE(test::refuses<Error>([&] { CharacterTokenizer tokenizer(wrong); }, {"U+"}));
  }
}

}  // namespace
}  // namespace basin::tasks

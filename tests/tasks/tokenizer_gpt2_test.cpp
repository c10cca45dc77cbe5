// The ids of GPT-2.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tasks/text/read_file.h"
#include "tasks/tokenizers/bpe_merger.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tasks/tokenizers/in_quotes.h"
#include "tensor/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/texts.h"

namespace basin::tasks {
namespace {

using test::Random;

// The folder of real data, or nothing.
std::string data_folder() {
  const char* folder = std::getenv("BASIN_DATA");
  return folder == nullptr ? "" : folder;
}

// GPT-2's own tables; null without them.
const Gpt2Tokenizer* gpt2() {
  static const auto tokenizer =
      data_folder().empty()
          ? nullptr
          : std::make_unique<Gpt2Tokenizer>(read_bpe_tables(data_folder() + "/gpt2-bpe"));
  return tokenizer.get();
}

std::string from_hexadecimal(const std::string& digits) {
  std::string bytes;
  for (std::size_t n = 0; n + 1 < digits.size(); n += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(n, 2), nullptr, 16));
  }
  return bytes;
}

std::string text_in(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

TEST(Gpt2Tokenizer, HardCases) {
  if (gpt2() == nullptr) {
    GTEST_SKIP() << "needs BASIN_DATA: gpt2-bpe/vocab.json and merges.txt";
  }
  std::ifstream file(BASIN_SOURCE_DIR "/tests/tasks/data/gpt2_hard_cases.json");
  const nlohmann::json cases = nlohmann::json::parse(file).at("cases");
  ASSERT_GE(cases.size(), 300u);
  for (const nlohmann::json& hard : cases) {
    const std::string text = hard.contains("hex") ? from_hexadecimal(hard.at("hex"))
                                                  : hard.at("text").get<std::string>();
    const auto expected = hard.at("ids").get<std::vector<std::int32_t>>();
    // Twice: without and with the ids that are remembered.
    for (int n = 0; n < 2; ++n) {
      EXPECT_EQ(gpt2()->encode(text), expected) << in_quotes(text);
    }
    EXPECT_EQ(gpt2()->decode(expected), text);
  }
}

TEST(Gpt2Tokenizer, TablesAreThePublishedOnes) {
  if (gpt2() == nullptr) {
    GTEST_SKIP() << "needs BASIN_DATA: gpt2-bpe/vocab.json and merges.txt";
  }
  EXPECT_EQ(gpt2()->vocabulary(), 50257);
  EXPECT_EQ(gpt2()->tables().merges.size(), 50000u);
  EXPECT_EQ(gpt2()->bytes_of(50256), "<|endoftext|>");
  EXPECT_EQ(gpt2()->bytes_of(262), " the");
}

// The number of ids and their FNV-1a hash (as little-endian 32-bit numbers) were made with tiktoken
// and with Hugging Face's tokenizers, which agree.
TEST(Gpt2Tokenizer, WikiText) {
  if (gpt2() == nullptr) {
    GTEST_SKIP() << "needs BASIN_DATA: wikitext-103 and gpt2-bpe";
  }
  struct Expected {
    const char* file;
    std::size_t ids;
    std::uint64_t hash;
  };
  for (const Expected& expected : {Expected{"valid", 249735, 0x9383B70959C23147},
                                   Expected{"test", 206983, 0x5EA3095E119DCA28}}) {
    const std::string text =
        text_in(data_folder() + "/wikitext-103/wiki." + expected.file + ".tokens.gz");
    const std::vector<std::int32_t> ids = gpt2()->encode(text);
    EXPECT_EQ(ids.size(), expected.ids);
    std::uint64_t hash = 0xCBF29CE484222325;
    for (const std::int32_t id : ids) {
      for (int shift = 0; shift < 32; shift += 8) {
        hash = (hash ^ (static_cast<std::uint32_t>(id) >> shift & 0xFF)) * 0x100000001B3;
      }
    }
    EXPECT_EQ(hash, expected.hash) << expected.file;
    EXPECT_EQ(gpt2()->decode(ids), text);
  }
}

// A table whose merges may be in an order in which no trainer learns them: there it matters that
// the strongest merge is done everywhere before the next is looked for.
BpeTables random_tables(Random& random) {
  BpeTables tables = test::byte_tables();
  std::vector<std::int32_t> letters;
  for (std::int32_t id = 0; id < 256; ++id) {
    if (std::string_view("abc").find(tables.tokens[static_cast<std::size_t>(id)]) !=
        std::string_view::npos) {
      letters.push_back(id);
    }
  }
  const auto any = [&] {
    const std::size_t n = test::below(tables.tokens.size() - 256 + letters.size(), random);
    return n < letters.size() ? letters[n] : static_cast<std::int32_t>(256 + n - letters.size());
  };
  for (std::size_t merges = 1 + test::below(25, random); merges > 0; --merges) {
    test::add_merge(tables, any(), any());
  }
  for (std::size_t n = tables.merges.size() - 1; n > 0 && random() % 2 == 0; --n) {
    std::swap(tables.merges[n], tables.merges[test::below(n + 1, random)]);
  }
  return tables;
}

TEST(BpeMerger, MergesAsDefined) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    const BpeTables tables = random_tables(random);
    check_bpe_tables(tables);
    const BpeMerger merger(tables);
    BpeMerger::Scratch scratch;
    for (int n = 0; n < 10; ++n) {
      std::string word;
      for (std::size_t size = 1 + test::below(30, random); size > 0; --size) {
        word += "aaabc"[test::below(5, random)];
      }
      std::vector<std::int32_t> ids = {-7};  // what is there stays
      merger.merge(word, scratch, ids);
      ASSERT_EQ(ids.front(), -7);
      ids.erase(ids.begin());
      ASSERT_EQ(ids, test::reference_merge(tables, word)) << word << ", seed " << seed;
    }
  }
}

// "abab" with ab + a stronger than a + b: all of a + b first gives ab|ab. One merge at a time would
// give aba|b.
TEST(BpeMerger, DoesOneMergeEverywhereBeforeTheNext) {
  BpeTables tables = test::byte_tables();
  const auto id = [&](const std::string& token) {
    return static_cast<std::int32_t>(std::find(tables.tokens.begin(), tables.tokens.end(), token) -
                                     tables.tokens.begin());
  };
  test::add_merge(tables, id("a"), id("b"));
  test::add_merge(tables, id("ab"), id("a"));
  std::swap(tables.merges[0], tables.merges[1]);
  const Gpt2Tokenizer tokenizer(tables);
  EXPECT_EQ(tokenizer.encode("abab"), (std::vector<std::int32_t>{id("ab"), id("ab")}));
}

// A million letters without a blank: quadratic work would take hours.
TEST(BpeMerger, LongWordsAreNotQuadratic) {
  BpeTables tables = test::byte_tables();
  const std::int32_t a = static_cast<std::int32_t>(
      std::find(tables.tokens.begin(), tables.tokens.end(), "a") - tables.tokens.begin());
  test::add_merge(tables, a, a);
  for (std::int32_t n = 256; n < 266; ++n) {
    test::add_merge(tables, n, n);
  }
  const Gpt2Tokenizer tokenizer(tables);
  const std::vector<std::int32_t> ids = tokenizer.encode(std::string(1 << 20, 'a'));
  EXPECT_EQ(ids.size(), std::size_t{1} << 9);  // eleven merges: tokens of 2048 letters
}

TEST(Gpt2Tokenizer, RefusesTablesThatCannotEncodeEveryText) {
  const auto refused = [](const BpeTables& tables, const std::vector<std::string>& parts) {
    return test::refuses<Error>([&] { Gpt2Tokenizer tokenizer(tables); }, parts);
  };
  BpeTables tables = test::byte_tables();
  tables.tokens.pop_back();
  EXPECT_TRUE(refused(tables, {"0xAD", "no token"}));
  tables = test::byte_tables();
  tables.tokens.emplace_back();
  EXPECT_TRUE(refused(tables, {"empty"}));
  tables = test::byte_tables();
  tables.tokens.emplace_back("a");
  EXPECT_TRUE(refused(tables, {"'a'", "twice"}));
  for (const BpeMerge& merge : {BpeMerge{0, 1, 256}, {-1, 0, 0}, {0, 300, 0}}) {
    tables = test::byte_tables();
    tables.merges = {merge};
    EXPECT_TRUE(refused(tables, {"256 tokens"}));
  }
  tables = test::byte_tables();
  tables.merges = {{0, 1, 2}};
  EXPECT_TRUE(refused(tables, {"'!'", "'\"'", "'#'"}));
  tables = test::byte_tables();
  test::add_merge(tables, 0, 1);
  tables.merges.push_back(tables.merges.front());
  EXPECT_TRUE(refused(tables, {"'!'", "twice"}));
}

}  // namespace
}  // namespace basin::tasks

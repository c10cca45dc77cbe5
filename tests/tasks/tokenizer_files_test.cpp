// Damaged and mistaken files of tokenizers.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "tasks/tokenizers/bpe_tables.h"
#include "tasks/tokenizers/byte_alphabet.h"
#include "tasks/tokenizers/character_tokenizer.h"
#include "tasks/tokenizers/gpt2_tokenizer.h"
#include "tensor/error.h"
#include "tests/support/bpe_reference.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace basin::tasks {
namespace {

using test::refuses;

// A vocabulary with one token on a line: line n + 2 has id n. 256 is "ab", 257 "abc".
std::string good_vocabulary() {
  BpeTables tables = test::byte_tables();
  tables.tokens.emplace_back("ab");
  tables.tokens.emplace_back("abc");
  std::string text = "{\n";
  for (std::size_t id = 0; id < tables.tokens.size(); ++id) {
    const std::string token = spelt(tables.tokens[id]);
    const bool escaped = token == "\"" || token == "\\";
    text += fmt::format("\"{}{}\": {}{}\n", escaped ? "\\" : "", token, id,
                        id + 1 < tables.tokens.size() ? "," : "");
  }
  return text + "}\n";
}

const std::string kGoodMerges = "#version: 0.2\na b\nab c\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

BpeTables parse(const std::string& vocabulary, const std::string& merges) {
  return parse_bpe_tables(vocabulary, "v.json", merges, "m.txt");
}

TEST(BpeFiles, GoodOnes) {
  const BpeTables tables = parse(good_vocabulary(), kGoodMerges);
  ASSERT_EQ(tables.tokens.size(), 258u);
  EXPECT_EQ(tables.tokens[257], "abc");
  ASSERT_EQ(tables.merges.size(), 2u);
  EXPECT_EQ(tables.merges[1].left, 256);
  EXPECT_EQ(tables.merges[1].merged, 257);
  EXPECT_EQ(Gpt2Tokenizer(tables).encode("abcab"), (std::vector<std::int32_t>{257, 256}));
  // Escapes, other white space, another order and no merges at all are as good.
  EXPECT_EQ(parse(replaced(good_vocabulary(), "\"ab\": 256,\n\"abc\": 257",
                           "\"\\u0061bc\":257\t, \"ab\" : 256"),
                  "#version: 0.2\n")
                .tokens,
            tables.tokens);
}

// What is in vocab.json and what the error has to say.
struct BadVocabulary {
  const char* name;
  std::string text;
  std::vector<std::string> parts;
};

std::vector<BadVocabulary> bad_vocabularies() {
  const std::string good = good_vocabulary();
  return {
      {"nothing", "", {"v.json:1:", "no JSON"}},
      {"no_json", "hello", {"v.json:1:", "no JSON"}},
      {"merges_instead", "#version: 0.2\na b\n", {"v.json:1:", "no JSON"}},
      {"cut_in_a_token", good.substr(0, good.find("abc") + 1), {"v.json:259:", "no JSON"}},
      {"cut_behind_a_token", good.substr(0, good.find("\"abc") + 5), {"v.json:259:", "no JSON"}},
      {"cut_at_the_end", good.substr(0, good.rfind('}')), {"v.json:259:", "no JSON"}},
      {"text_behind_it", good + "x", {"v.json:261:", "no JSON"}},
      {"bad_utf8", replaced(good, "\"abc\"", "\"ab\xFF\""), {"v.json:259:", "no JSON"}},
      {"control", replaced(good, "\"abc\"", "\"ab\n\""), {"no JSON"}},
      {"a_list", "[1, 2]", {"v.json:1:", "expected an object", "a list"}},
      {"a_number", "\n\n5", {"v.json:3:", "expected an object", "a number"}},
      {"a_string", "\"x\"", {"v.json:1:", "expected an object", "a string"}},
      {"null", "null", {"v.json:1:", "expected an object", "null"}},
      {"empty_object", "{}", {"v.json: ", "0x00", "no token"}},
      {"negative_id", replaced(good, ": 256", ": -1"), {"v.json:258:", "'ab'", "-1"}},
      {"fractional_id", replaced(good, ": 256", ": 256.0"), {"v.json:258:", "'ab'", "256.0"}},
      {"huge_id", replaced(good, ": 256", ": 99999999999999999999"), {"v.json:258:", "'ab'"}},
      {"endless_id", replaced(good, ": 256", ": 1e999"), {"v.json:258:", "no JSON"}},
      {"string_id", replaced(good, ": 256", ": \"256\""), {"v.json:258:", "'ab'", "a string"}},
      {"object_id", replaced(good, ": 256", ": {}"), {"v.json:258:", "'ab'", "an object"}},
      {"list_id", replaced(good, ": 256", ": [256]"), {"v.json:258:", "'ab'", "a list"}},
      {"null_id", replaced(good, ": 256", ": null"), {"v.json:258:", "'ab'", "null"}},
      {"boolean_id", replaced(good, ": 256", ": true"), {"v.json:258:", "'ab'", "a boolean"}},
      {"id_too_large",
       replaced(good, ": 256", ": 258"),
       {"v.json:258:", "'ab'", "258 tokens", "0 to 257"}},
      {"id_beyond_32_bits",
       replaced(good, ": 256", ": 4294967552"),
       {"v.json:258:", "'ab'", "4294967552"}},
      {"id_twice",
       replaced(good, ": 256", ": 257"),
       {"v.json:259:", "'ab' (line 258)", "'abc'", "257"}},
      {"id_missing",
       replaced(good, "\"ab\": 256,\n", ""),
       {"v.json:258:", "'abc'", "257", "257 tokens"}},
      {"token_twice",
       replaced(good, "\"abc\"", "\"ab\""),
       {"v.json:259:", "'ab'", "257", "(line 258)", "256"}},
      {"empty_token", replaced(good, "\"abc\"", "\"\""), {"v.json:259:", "empty"}},
      {"blank_in_token",
       replaced(good, "\"abc\"", "\"a c\""),
       {"v.json:259:", "'a c'", "stands for no byte"}},
      {"foreign_character",
       replaced(good, "\"abc\"", "\"\\u4e2d\""),
       {"v.json:259:", "stands for no byte"}},
      {"byte_missing",
       replaced(good, "\"\u0120\"", "\"\u0120\u0120\""),
       {"v.json: ", "0x20", "'\u0120'", "no token"}},
      {"deep", std::string(100000, '['), {"v.json:1:", "a list"}},
      {"deep_objects",
       replaced(good, ": 256", ": " + std::string(100000, '{')),
       {"v.json:258:", "an object"}},
  };
}

TEST(BpeFiles, BadVocabularies) {
  for (const BadVocabulary& bad : bad_vocabularies()) {
    EXPECT_TRUE(refuses<FileError>([&] { parse(bad.text, kGoodMerges); }, bad.parts)) << bad.name;
  }
}

TEST(BpeFiles, BadMerges) {
  const std::string header = "#version: 0.2\n";
  const std::vector<std::pair<std::string, std::vector<std::string>>> all = {
      {"", {"m.txt:1:", "'#version: 0.2'"}},
      {"a b\nab c\n", {"m.txt:1:", "'#version: 0.2'", "'a b'"}},
      {"#version: 0.1\na b\n", {"m.txt:1:", "'#version: 0.1'"}},
      {"#version: 0.2\r\na b\r\n", {"m.txt:1:", "'#version: 0.2\\x0D'"}},
      {"#version: 0.2", {"m.txt:1:", "cut off"}},
      {good_vocabulary(), {"m.txt:1:", "'{'"}},
      {std::string("\0\xFF\0", 3), {"m.txt:1:", "'\\x00\\xFF\\x00'"}},
      {header + "a b\nab c", {"m.txt:3:", "'ab c'", "cut off"}},
      {header + "a b\nab\n", {"m.txt:3:", "'ab'", "two tokens"}},
      {header + "a b\n\nab c\n", {"m.txt:3:", "''", "two tokens"}},
      {header + "a b\nab c \n", {"m.txt:3:", "'ab c '", "two tokens"}},
      {header + "a b\n ab c\n", {"m.txt:3:", "two tokens"}},
      {header + "a b\nab  c\n", {"m.txt:3:", "two tokens"}},
      {header + "a b\na b c\n", {"m.txt:3:", "two tokens"}},
      {header + "a b\nab\tc\n", {"m.txt:3:", "'ab\\x09c'", "two tokens"}},
      {header + "a b\nab c\r\n", {"m.txt:3:", "'ab c\\x0D'", "stands for no byte"}},
      {header + "a b\n\u4E2D c\n", {"m.txt:3:", "stands for no byte"}},
      {header + "a b\n\xFF c\n", {"m.txt:3:", "stands for no byte"}},
      {header + "a b\nabcd e\n", {"m.txt:3:", "'abcd'", "no token of the vocabulary"}},
      {header + "a b\na abcd\n", {"m.txt:3:", "'abcd'", "no token of the vocabulary"}},
      {header + "a b\nb c\n", {"m.txt:3:", "'bc'", "no token of the vocabulary"}},
      {header + "a b\nab c\na b\n", {"m.txt:4:", "'a b'", "line 2"}},
      {header + std::string(1000000, 'a') + " b\n", {"m.txt:2:", "...'"}},
  };
  for (const auto& [merges, parts] : all) {
    EXPECT_TRUE(refuses<FileError>([&] { parse(good_vocabulary(), merges); }, parts))
        << merges.substr(0, 40);
  }
}

// However short a file is cut, it is refused, unless what is left is a whole table with fewer
// merges.
TEST(BpeFiles, CutAnywhere) {
  const std::string vocabulary = good_vocabulary();
  for (std::size_t size = 0; size < vocabulary.find_last_of('}'); ++size) {
    ASSERT_TRUE(
        refuses<FileError>([&] { parse(vocabulary.substr(0, size), kGoodMerges); }, {"v.json"}))
        << size;
  }
  for (std::size_t size = 0; size < kGoodMerges.size(); ++size) {
    const std::string merges = kGoodMerges.substr(0, size);
    if (size > 0 && merges.back() == '\n') {
      EXPECT_LT(parse(vocabulary, merges).merges.size(), 2u);
    } else {
      EXPECT_TRUE(refuses<FileError>([&] { parse(vocabulary, merges); }, {"m.txt"})) << size;
    }
  }
}

TEST(BpeFiles, MissingAndEmptyFiles) {
  const test::TemporaryFolder folder;
  const auto read = [&] { read_bpe_tables(folder.path()); };
  EXPECT_TRUE(refuses<FileError>(read, {folder / "vocab.json", "no such file"}));
  test::write_bytes(folder / "vocab.json", good_vocabulary());
  EXPECT_TRUE(refuses<FileError>(read, {folder / "merges.txt", "no such file"}));
  test::write_bytes(folder / "merges.txt", "");
  EXPECT_TRUE(refuses<FileError>(read, {folder / "merges.txt", "empty"}));
  test::write_bytes(folder / "merges.txt", "#version: 0.2\na x\n");
  EXPECT_TRUE(refuses<FileError>(read, {folder / "merges.txt:2:", "'ax'"}));
  test::write_bytes(folder / "merges.txt", kGoodMerges);
  EXPECT_EQ(read_bpe_tables(folder.path()).merges.size(), 2u);
}

TEST(BpeFiles, WrittenFilesHaveGpt2sLayout) {
  const test::TemporaryFolder folder;
  const BpeTables tables = parse(good_vocabulary(), kGoodMerges);
  write_bpe_tables(tables, folder.path());
  EXPECT_EQ(test::read_bytes(folder / "merges.txt"), kGoodMerges);
  const std::string vocabulary = test::read_bytes(folder / "vocab.json");
  EXPECT_EQ(vocabulary.substr(0, 29), "{\"!\": 0, \"\\\"\": 1, \"#\": 2, \"$\"");
  EXPECT_EQ(vocabulary.substr(vocabulary.size() - 24), " \"ab\": 256, \"abc\": 257}\n");
  EXPECT_NE(vocabulary.find("\"\u0120\": 220,"), std::string::npos);  // the blank, as in GPT-2
  EXPECT_EQ(read_bpe_tables(folder.path()).tokens, tables.tokens);
}

TEST(CharacterFiles, GoodAndBad) {
  const std::string header = "#version: basin characters 1, 2 characters\n";
  EXPECT_EQ(parse_characters(header + "U+0041\nbyte FF\n", "c.txt"),
            (std::vector<char32_t>{0x41, 0xDCFF}));
  EXPECT_TRUE(parse_characters("#version: basin characters 1, 0 characters\n", "c.txt").empty());
  const std::vector<std::pair<std::string, std::vector<std::string>>> all = {
      {"", {"c.txt:1:", "#version: basin characters 1"}},
      {"U+0041\n", {"c.txt:1:", "'U+0041'"}},
      {"#version: basin characters 2, 2 characters\n", {"c.txt:1:"}},
      {header, {"c.txt:1:", "0 characters follow"}},
      {header + "U+0041\n", {"c.txt:1:", "1 characters follow"}},
      {header + "U+0041\nU+0042\nU+0043\n", {"c.txt:1:", "3 characters follow"}},
      {"#version: basin characters 1, 99999999999999999999 characters\nU+0041\n", {"c.txt:1:"}},
      {"#version: basin characters 1, 01 characters\nU+0041\n", {"c.txt:1:"}},
      {header + "U+0041\nU+0042", {"c.txt:3:", "cut off"}},
      {header + "U+0041\nU+004", {"c.txt:3:", "cut off"}},
      {header + "U+0041\nU+41\n", {"c.txt:3:", "'U+41'"}},
      {header + "U+0041\nU+00ff\n", {"c.txt:3:", "'U+00ff'"}},
      {header + "U+0041\nU+-041\n", {"c.txt:3:"}},
      {header + "U+0041\n\n", {"c.txt:3:", "''"}},
      {header + "U+0041\nB\n", {"c.txt:3:", "'B'"}},
      {header + "U+0041\nbyte 7F\n", {"c.txt:3:", "'byte 7F'"}},
      {header + "U+0041\nbyte 100\n", {"c.txt:3:", "'byte 100'"}},
      {header + "U+0041\nU+110000\n", {"c.txt:3:", "'U+110000'"}},
      {header + "U+0041\nU+FFFFFFFFFFFFFFFF\n", {"c.txt:3:"}},
      {header + "U+0041\nU+D800\n", {"c.txt:3:", "surrogate"}},
      {header + "U+0041\nU+DCFF\n", {"c.txt:3:"}},
      {header + "U+0041\nU+0041\n", {"c.txt:3:", "U+0041 comes after U+0041"}},
      {header + "byte FF\nU+0041\n", {"c.txt:3:", "U+0041 comes after byte FF"}},
      {header + "U+0041\nU+0042 \n", {"c.txt:3:", "'U+0042 '"}},
      {header + "U+0041\nU+0042\r\n", {"c.txt:3:", "'U+0042\\x0D'"}},
  };
  for (const auto& [text, parts] : all) {
    EXPECT_TRUE(refuses<FileError>([&] { parse_characters(text, "c.txt"); }, parts)) << text;
  }
}

}  // namespace
}  // namespace basin::tasks

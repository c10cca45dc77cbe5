// Below the tokenizers: code points, classes of characters, the pattern, the spelling of bytes.
#include <gtest/gtest.h>

#include "tasks/tokenizers/byte_alphabet.h"
#include "tasks/tokenizers/gpt2_pattern.h"
#include "tasks/tokenizers/in_quotes.h"
#include "tasks/tokenizers/unicode_classes.h"
#include "tasks/tokenizers/utf8.h"
#include "tests/support/texts.h"

namespace basin::tasks {
namespace {

// Every well-formed sequence there is, written by the definition of UTF-8 and read back.
TEST(TokenizerUnicode, EveryCodePointIsReadBack) {
  for (char32_t value = 0; value <= 0x10FFFF; ++value) {
    if (value >= 0xD800 && value <= 0xDFFF) {
      continue;
    }
    std::string bytes;
    append_code_point(value, bytes);
    const std::size_t size = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
    ASSERT_EQ(bytes.size(), size) << "U+" << std::hex << static_cast<unsigned>(value);
    const CodePoint point = code_point_at(bytes + "a", 0);
    ASSERT_EQ(point.value, value);
    ASSERT_EQ(point.size, size);
  }
}

TEST(TokenizerUnicode, IllFormedSequencesAreBytes) {
  for (const std::string bytes :
       {"\x80", "\xBF", "\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",  // overlong
        "\xED\xA0\x80", "\xED\xBF\xBF",                                              // surrogates
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF",                      // too large
        "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xE2\x28\xA1", "\xC3\xC3"}) {           // cut
    const CodePoint point = code_point_at(bytes, 0);
    EXPECT_EQ(point.size, 1u) << in_quotes(bytes);
    EXPECT_EQ(point.value, kStrayByte + static_cast<unsigned char>(bytes[0])) << in_quotes(bytes);
    std::string back;
    append_code_point(point.value, back);
    EXPECT_EQ(back, bytes.substr(0, 1));
  }
}

TEST(TokenizerUnicode, Classes) {
  const auto all_are = [](CharacterClass expected, const std::u32string& characters) {
    for (const char32_t c : characters) {
      EXPECT_EQ(class_of(c), expected) << "U+" << std::hex << static_cast<unsigned>(c);
    }
  };
  // The first and last of ranges, and the neighbours behind them.
  all_are(CharacterClass::letter,
          U"AZaz\u00AA\u00B5\u00BA\u00C0\u00D6\u00D8\u00F6\u00F8\u02C1\u0370"
          U"\u0561\u05D0\u4E00\u9FFF\uAC00\uD7A3\uFF21\U00020000\U0002FA1D");
  all_are(CharacterClass::number,
          U"09\u00B2\u00B3\u00B9\u00BC\u00BE\u0660\u0669\u2160\u2188\u2460"
          U"\u3007\u3021\uFF10\U0001D7CE\U0001D7FF\U00010107");
  all_are(CharacterClass::white_space,
          U"\t\n\v\f\r \u0085\u00A0\u1680\u2000\u200A\u2028\u2029\u202F\u205F\u3000");
  all_are(CharacterClass::other,
          U"!/:@[`{\u007F\u0080\u00A1\u00D7\u00F7\u0300\u001C\u001F\u180E\u200B\u200D\u2060\uFEFF"
          U"\uFFFD\uE000\U0001F600\U0010FFFF");
  all_are(CharacterClass::other, {kStrayByte + 0x80, kStrayByte + 0xFF, 0x110000, 0xFFFFFFFF});
}

// The pieces that the pattern's text says, without any table of merges.
TEST(TokenizerUnicode, Pieces) {
  const std::vector<std::vector<std::string>> texts = {
      {"Hello", " world", "!"},
      {"a", " ", " b"},
      {"a", "  ", " b"},
      {"a", "\n", "b"},
      {"a", "\n", "\n", "b"},
      {"a", "\n\n", " b"},
      {"a", "\n ", "\n", "b"},
      {"a", " \n\t "},
      {"a", "\t", "b"},
      {" ", "\u00A0", "b"},
      {" ", "\u3000", "1"},
      {"it", "'s"},
      {"it", "'", "S"},
      {"we", "'re", " he", "'ll", "'ve", "'m", "'d", "'t"},
      {" '", "s"},
      {"''", "s"},
      {"!'", "s"},
      {"'s", "'s", "am"},
      {"a", "1", "b", "22", "-", "3", "."},
      {" 12\u00B2\u2167", " \u0661"},
      {"caf\u00E9", " na\u00EFve", "\u0301", "x"},
      {"\u4E2D\u6587", "\u3002"},
      {" \U0001F600\U0001F468\u200D\U0001F469"},
      {"a", "\xFF", "b", " \xFF\xFE!", "1"},
      {"\x1C", "\n", "\x1C"},
  };
  for (const std::vector<std::string>& expected : texts) {
    std::string text;
    for (const std::string& piece : expected) {
      text += piece;
    }
    std::vector<std::string> found;
    EXPECT_EQ(
        for_each_piece(text, true, [&](std::string_view piece) { found.emplace_back(piece); }),
        text.size());
    EXPECT_EQ(found, expected) << in_quotes(text);
  }
}

// kPieceLookahead is enough: a piece that is given before the end is known is the piece of the
// whole.
TEST(TokenizerUnicode, PiecesDoNotDependOnWhatIsNotYetKnown) {
  test::Random random(1);
  for (int n = 0; n < 3000; ++n) {
    const std::string text = test::random_text(12, random);
    std::vector<std::string> whole;
    for_each_piece(text, true, [&](std::string_view piece) { whole.emplace_back(piece); });
    for (std::size_t known = 0; known <= text.size(); ++known) {
      std::size_t piece_number = 0;
      for_each_piece(std::string_view(text).substr(0, known), false, [&](std::string_view piece) {
        ASSERT_EQ(piece, whole[piece_number++]) << in_quotes(text) << " up to byte " << known;
      });
    }
  }
}

TEST(TokenizerUnicode, SpellingOfBytes) {
  EXPECT_EQ(spelt("Az~!"), "Az~!");
  EXPECT_EQ(spelt(" \n\t"), "\u0120\u010A\u0109");
  EXPECT_EQ(spelt(std::string("\0\x7F\x80\xA0\xAD\xFF", 6)),
            "\u0100\u0121\u0122\u0142\u0143\u00FF");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
  }
  EXPECT_EQ(unspelt(spelt(all)), all);
  for (const std::string text :
       {" ", "\n", "\u0144", "\u00A0", "\u00AD", "\u4E2D", "\xFF", "a\x80"}) {
    EXPECT_FALSE(unspelt(text).has_value()) << in_quotes(text);
  }
}

TEST(TokenizerUnicode, QuotedBytesAreOneShortLine) {
  EXPECT_EQ(in_quotes("a\n\x1b\xFF\u00E9"), "'a\\x0A\\x1B\\xFF\u00E9'");
  EXPECT_EQ(in_quotes("\u0085\u2028"), "'\\xC2\\x85\\xE2\\x80\\xA8'");
  EXPECT_EQ(in_quotes(std::string(1000, 'a')), "'" + std::string(60, 'a') + "...'");
}

}  // namespace
}  // namespace basin::tasks

// Reading and writing characters.txt.
#include <charconv>

#include "tasks/text/read_file.h"
#include "tasks/tokenizers/character_tokenizer.h"
#include "tasks/tokenizers/in_quotes.h"
#include "tasks/tokenizers/place.h"
#include "tasks/tokenizers/utf8.h"
#include "tasks/tokenizers/write_file.h"

namespace basin::tasks {

namespace {

constexpr std::string_view kFirstWords = "#version: basin characters 1, ";

std::string path_in(const std::string& folder) { return folder + "/characters.txt"; }

bool is_stray_byte(char32_t character) {
  return character >= kStrayByte + 0x80 && character <= kStrayByte + 0xFF;
}

std::string written(char32_t character) {
  const auto value = static_cast<std::uint32_t>(character);
  return is_stray_byte(character) ? fmt::format("byte {:02X}", value & 0xFF)
                                  : fmt::format("U+{:04X}", value);
}

std::string header_of(std::size_t characters) {
  return fmt::format("{}{} characters", kFirstWords, characters);
}

// The character of a line; a line that written() would not write gives one that it cannot be.
char32_t read_character(std::string_view line) {
  for (const auto& [prefix, offset] :
       {std::pair<std::string_view, char32_t>{"U+", 0}, {"byte ", kStrayByte}}) {
    if (line.substr(0, prefix.size()) == prefix) {
      std::uint32_t value = 0;
      const char* end = line.data() + line.size();
      const auto parsed = std::from_chars(line.data() + prefix.size(), end, value, 16);
      const char32_t character = offset + value;
      if (parsed.ec == std::errc() && parsed.ptr == end && value < 0x110000 &&
          written(character) == line) {
        return character;
      }
    }
  }
  return 0xFFFFFFFF;
}

}  // namespace

std::vector<char32_t> parse_characters(std::string_view text, const std::string& path) {
  const Place place(path);
  std::vector<char32_t> characters;
  std::string_view header;
  std::size_t line = 0;
  while (!text.empty() || line == 0) {
    ++line;
    const std::size_t end = text.find('\n');
    const std::string_view words = text.substr(0, end);
    if (line == 1 && words.substr(0, kFirstWords.size()) != kFirstWords) {
      place.fail(line, "expected a line like '{}', found {}", header_of(100), in_quotes(words));
    }
    if (end == std::string_view::npos) {
      place.fail(line, "the line {} has no end: the file was cut off", in_quotes(words));
    }
    text.remove_prefix(end + 1);
    if (line == 1) {
      header = words;
      continue;
    }
    const char32_t character = read_character(words);
    if (character > 0x10FFFF) {
      place.fail(line, "expected a character like 'U+0041' or 'byte FF', found {}",
                 in_quotes(words));
    }
    if (character >= 0xD800 && character <= 0xDFFF && !is_stray_byte(character)) {
      place.fail(line, "{} is a surrogate and no character", in_quotes(words));
    }
    if (!characters.empty() && character <= characters.back()) {
      place.fail(line, "{} comes after {}; the characters must ascend, each there once",
                 written(character), written(characters.back()));
    }
    characters.push_back(character);
  }
  if (header != header_of(characters.size())) {
    place.fail(1, "the header is {}, but {} characters follow", in_quotes(header),
               characters.size());
  }
  return characters;
}

std::vector<char32_t> read_characters(const std::string& folder) {
  const std::vector<std::uint8_t> bytes = read_file(path_in(folder));
  return parse_characters({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                          path_in(folder));
}

void CharacterTokenizer::save(const std::string& folder) const {
  std::string text = header_of(characters_.size()) + "\n";
  for (const char32_t character : characters_) {
    text += written(character) + "\n";
  }
  write_file(path_in(folder), text);
}

}  // namespace basin::tasks

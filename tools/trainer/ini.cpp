#include "tools/trainer/ini.h"

#include <algorithm>
#include <utility>

#include "tools/trainer/usage_error.h"

namespace basin::trainer {

namespace {

constexpr const char* kBlanks = " \t\r\f\v";

// Escapes and the characters they stand for.
constexpr std::pair<char, char> kEscapes[] = {
    {'"', '"'}, {'\\', '\\'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}};

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string::npos) {
    return "";
  }
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// The inside of "..."; `place` is for messages.
std::string unquoted(const std::string& text, const std::string& place) {
  std::string value;
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '"') {
      if (at + 1 != text.size()) {
        wrong_usage("{}: there is something after the closing quote", place);
      }
      return value;
    }
    if (text[at] != '\\') {
      value += text[at];
      continue;
    }
    const char code = at + 1 < text.size() ? text[++at] : '\0';
    const auto* escape = std::find_if(std::begin(kEscapes), std::end(kEscapes),
                                      [code](const auto& known) { return known.first == code; });
    if (escape == std::end(kEscapes)) {
      wrong_usage("{}: after a backslash in quotes comes one of \" \\ n r t", place);
    }
    value += escape->second;
  }
  wrong_usage("{}: the closing quote is missing", place);
}

}  // namespace

std::vector<IniEntry> parse_ini(const std::string& text, const std::string& origin) {
  std::vector<IniEntry> entries;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty() || line.front() == '#' || line.front() == ';') {
      continue;
    }
    const std::string place = fmt::format("{}:{}", origin, number);
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos || line.find('\0') != std::string::npos) {
      wrong_usage("{}: a line must be 'name = value', a comment or empty", place);
    }
    IniEntry entry{trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)), number};
    if (!entry.value.empty() && entry.value.front() == '"') {
      entry.value = unquoted(entry.value, place);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string ini_line(const std::string& name, const std::string& value) {
  const bool plain = trimmed(value) == value && value.find_first_of("\"\n\r") == std::string::npos;
  if (plain) {
    return fmt::format("{} = {}\n", name, value);
  }
  std::string quoted;
  for (const char c : value) {
    const auto* escape = std::find_if(std::begin(kEscapes), std::end(kEscapes),
                                      [c](const auto& known) { return known.second == c; });
    quoted += escape == std::end(kEscapes) ? std::string(1, c) : std::string{'\\', escape->first};
  }
  return fmt::format("{} = \"{}\"\n", name, quoted);
}

}  // namespace basin::trainer

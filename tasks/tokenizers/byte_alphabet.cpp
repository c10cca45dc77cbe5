#include "tasks/tokenizers/byte_alphabet.h"

#include <algorithm>

#include "tasks/tokenizers/utf8.h"

namespace basin::tasks {

namespace {

bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> character_of{};
  std::array<int, 0x180> byte_of{};  // -1 where the character is not in the alphabet
};

Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.byte_of.fill(-1);
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t character = stands_for_itself(byte) ? byte : next++;
    alphabet.character_of[byte] = character;
    alphabet.byte_of[character] = static_cast<int>(byte);
  }
  return alphabet;
}

const Alphabet& alphabet() {
  static const Alphabet made = make_alphabet();
  return made;
}

}  // namespace

std::array<std::uint8_t, 256> bytes_in_gpt2_order() {
  std::array<std::uint8_t, 256> bytes{};
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    bytes[n] = static_cast<std::uint8_t>(n);
  }
  std::stable_partition(bytes.begin(), bytes.end(), stands_for_itself);
  return bytes;
}

std::string spelt(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    append_code_point(alphabet().character_of[static_cast<unsigned char>(c)], text);
  }
  return text;
}

std::optional<std::string> unspelt(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    if (point.value >= alphabet().byte_of.size() || alphabet().byte_of[point.value] < 0) {
      return std::nullopt;
    }
    bytes += static_cast<char>(alphabet().byte_of[point.value]);
    at += point.size;
  }
  return bytes;
}

}  // namespace basin::tasks

#include "tasks/tokenizers/utf8.h"

namespace basin::tasks {

CodePoint code_point_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t n) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + n]));
  };
  const char32_t first = byte(0);
  if (first < 0x80) {
    return {first, 1};
  }
  const CodePoint stray = {kStrayByte + first, 1};
  // 0xC0 and 0xC1 would begin overlong forms, 0xF5 and above code points that do not exist.
  const std::size_t size = first >= 0xC2 && first <= 0xDF   ? 2
                           : first >= 0xE0 && first <= 0xEF ? 3
                           : first >= 0xF0 && first <= 0xF4 ? 4
                                                            : 0;
  if (size == 0 || size > text.size() - at) {
    return stray;
  }
  char32_t value = first & (0x7Fu >> size);
  for (std::size_t n = 1; n < size; ++n) {
    if ((byte(n) & 0xC0) != 0x80) {
      return stray;
    }
    value = value << 6 | (byte(n) & 0x3F);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kLeast[size] || surrogate || value > 0x10FFFF) {
    return stray;
  }
  return {value, size};
}

void append_code_point(char32_t value, std::string& bytes) {
  const auto append = [&](char32_t byte) { bytes += static_cast<char>(byte); };
  if (value < 0x80) {
    append(value);
  } else if (value >= kStrayByte + 0x80 && value <= kStrayByte + 0xFF) {
    append(value - kStrayByte);
  } else if (value < 0x800) {
    append(0xC0 | value >> 6);
    append(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    append(0xE0 | value >> 12);
    append(0x80 | (value >> 6 & 0x3F));
    append(0x80 | (value & 0x3F));
  } else {
    append(0xF0 | value >> 18);
    append(0x80 | (value >> 12 & 0x3F));
    append(0x80 | (value >> 6 & 0x3F));
    append(0x80 | (value & 0x3F));
  }
}

}  // namespace basin::tasks

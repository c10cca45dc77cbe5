// Code points of UTF-8 text, and of bytes that are none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace basin::tasks {

struct CodePoint {
  char32_t value = 0;
  std::size_t size = 0;  ///< bytes
};

/// The longest well-formed sequence.
inline constexpr std::size_t kMostBytesOfCodePoint = 4;

/// A byte that is no part of a well-formed sequence counts as the code point kStrayByte + byte,
/// which lies among the surrogates and so never stands for itself in UTF-8. This is what Python's
/// error handler "surrogateescape" does.
inline constexpr char32_t kStrayByte = 0xDC00;

/// The code point at `at` < text.size(). Well-formed: the Unicode Standard, table 3-7, that is no
/// overlong forms, no surrogates, nothing above U+10FFFF.
CodePoint code_point_at(std::string_view text, std::size_t at);

/// Appends the bytes of any code_point_at().value.
void append_code_point(char32_t value, std::string& bytes);

}  // namespace basin::tasks

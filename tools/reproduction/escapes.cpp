#include "tools/reproduction/escapes.h"

#include <cstdint>
#include <string_view>

namespace basin::reproduction {

std::string one_line(const std::string& text) {
  std::string line = text;
  for (char& c : line) {
    c = static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  }
  return line;
}

std::string html_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : one_line(text)) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string markdown_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : one_line(text)) {
    if (c == '<') {
      escaped += "&lt;";
    } else if (c == '&') {
      escaped += "&amp;";
    } else {
      escaped += std::string_view("\\`*[]$").find(c) != std::string_view::npos ? "\\" : "";
      escaped += c;
    }
  }
  return escaped;
}

std::string base64(const std::string& bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t n = 0; n < 3; ++n) {
      group = group << 8 | (at + n < bytes.size() ? static_cast<unsigned char>(bytes[at + n]) : 0U);
    }
    for (std::size_t n = 0; n < 4; ++n) {
      text += at + n > bytes.size() ? '=' : digits[group >> (18 - 6 * n) & 63U];
    }
  }
  return text;
}

}  // namespace basin::reproduction

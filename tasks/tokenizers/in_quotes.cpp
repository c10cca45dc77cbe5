#include "tasks/tokenizers/in_quotes.h"

#include <fmt/format.h>

#include "tasks/tokenizers/utf8.h"

namespace basin::tasks {

std::string in_quotes(std::string_view bytes) {
  constexpr std::size_t kMost = 60;
  std::string text = "'";
  std::size_t at = 0;
  while (at < bytes.size() && at < kMost) {
    const CodePoint point = code_point_at(bytes, at);
    // Of the controls U+0080 to U+009F terminals make as much as of those below the blank.
    const bool printable =
        (point.value >= 0x20 && point.value < 0x7F) ||
        (point.value >= 0xA0 && point.size > 1 && point.value != 0x2028 && point.value != 0x2029);
    for (std::size_t n = 0; n < point.size; ++n) {
      const char c = bytes[at + n];
      text +=
          printable ? std::string(1, c) : fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    }
    at += point.size;
  }
  return text + (at < bytes.size() ? "...'" : "'");
}

}  // namespace basin::tasks

#include "tasks/tokenizers/byte_tokenizer.h"

#include <array>

namespace basin::tasks {

namespace {

std::array<char, 256> all_bytes() {
  std::array<char, 256> bytes{};
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    bytes[n] = static_cast<char>(n);
  }
  return bytes;
}

}  // namespace

std::size_t ByteTokenizer::encode_piece(std::string_view text, bool,
                                        std::vector<std::int32_t>& ids) const {
  for (const char c : text) {
    ids.push_back(static_cast<unsigned char>(c));
  }
  return text.size();
}

std::string_view ByteTokenizer::bytes_of(std::int32_t id) const {
  static const std::array<char, 256> bytes = all_bytes();
  return {&bytes[static_cast<std::size_t>(id)], 1};
}

}  // namespace basin::tasks

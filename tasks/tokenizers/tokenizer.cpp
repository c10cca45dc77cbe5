#include "tasks/tokenizers/tokenizer.h"

#include "tensor/error.h"

namespace basin::tasks {

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  encode_piece(text, true, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  const std::int64_t size = vocabulary();
  std::string bytes;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    if (ids[n] < 0 || ids[n] >= size) {
      fail("[tokenizer {}] id {} at position {} is outside the vocabulary of {}", name(), ids[n], n,
           size);
    }
    bytes += bytes_of(ids[n]);
  }
  return bytes;
}

}  // namespace basin::tasks

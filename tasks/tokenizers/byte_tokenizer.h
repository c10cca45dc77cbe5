// Every byte is a token.
#pragma once

#include "tasks/tokenizers/tokenizer.h"

namespace basin::tasks {

/// The id of a byte is its value.
class ByteTokenizer final : public Tokenizer {
 public:
  std::string name() const override { return "bytes"; }
  std::string description() const override { return "bytes, vocabulary 256"; }
  std::int64_t vocabulary() const override { return 256; }

  std::size_t encode_piece(std::string_view text, bool at_end,
                           std::vector<std::int32_t>& ids) const override;
  std::string_view bytes_of(std::int32_t id) const override;
  /// Writes nothing: there is nothing to remember.
  void save(const std::string&) const override {}
};

}  // namespace basin::tasks

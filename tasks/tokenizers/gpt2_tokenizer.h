// Byte-pair encoding of bytes, as in GPT-2.
#pragma once

#include <memory>
#include <mutex>

#include "tasks/tokenizers/bpe_merger.h"
#include "tasks/tokenizers/bpe_tables.h"
#include "tasks/tokenizers/tokenizer.h"
#include "tasks/tokenizers/word_cache.h"

namespace basin::tasks {

/// A. Radford et al. 2019: the text is cut into pieces (gpt2_pattern.h), and the bytes of each are
/// merged by the tables (bpe_merger.h). Any bytes come back from decode() as they were. The
/// spelling of a special token in a text, such as "<|endoftext|>", is text like any other.
class Gpt2Tokenizer final : public Tokenizer {
 public:
  /// Throws Error for tables that check_bpe_tables() refuses.
  explicit Gpt2Tokenizer(BpeTables tables);

  std::string name() const override { return "gpt2"; }
  std::string description() const override;
  std::int64_t vocabulary() const override;

  /// A piece of text without a place to cut waits as a whole for its end.
  std::size_t encode_piece(std::string_view text, bool at_end,
                           std::vector<std::int32_t>& ids) const override;
  std::string_view bytes_of(std::int32_t id) const override;
  /// vocab.json and merges.txt.
  void save(const std::string& folder) const override;

  const BpeTables& tables() const { return tables_; }

 private:
  BpeTables tables_;
  BpeMerger merger_;
  // One caller at a time has the cache; others do without. The ids are the same.
  mutable std::mutex cache_mutex_;
  mutable WordCache cache_;
};

}  // namespace basin::tasks

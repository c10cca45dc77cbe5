#include "tasks/tokenizers/gpt2_tokenizer.h"

#include <fmt/format.h>

#include <utility>

#include "tasks/tokenizers/gpt2_pattern.h"

namespace basin::tasks {

namespace {

BpeTables checked(BpeTables tables) {
  check_bpe_tables(tables);
  return tables;
}

}  // namespace

Gpt2Tokenizer::Gpt2Tokenizer(BpeTables tables)
    : tables_(checked(std::move(tables))), merger_(tables_) {}

std::string Gpt2Tokenizer::description() const {
  return fmt::format("GPT-2 byte pairs, vocabulary {}, {} merges", tables_.tokens.size(),
                     tables_.merges.size());
}

std::int64_t Gpt2Tokenizer::vocabulary() const {
  return static_cast<std::int64_t>(tables_.tokens.size());
}

std::size_t Gpt2Tokenizer::encode_piece(std::string_view text, bool at_end,
                                        std::vector<std::int32_t>& ids) const {
  const std::unique_lock<std::mutex> lock(cache_mutex_, std::try_to_lock);
  BpeMerger::Scratch scratch;
  return for_each_piece(text, at_end, [&](std::string_view piece) {
    if (lock.owns_lock()) {
      const std::span<const std::int32_t> known = cache_.find(piece);
      if (!known.empty()) {
        ids.insert(ids.end(), known.begin(), known.end());
        return;
      }
    }
    const std::size_t before = ids.size();
    merger_.merge(piece, scratch, ids);
    if (lock.owns_lock()) {
      cache_.remember(piece, std::span(ids).subspan(before));
    }
  });
}

std::string_view Gpt2Tokenizer::bytes_of(std::int32_t id) const {
  return tables_.tokens[static_cast<std::size_t>(id)];
}

void Gpt2Tokenizer::save(const std::string& folder) const { write_bpe_tables(tables_, folder); }

}  // namespace basin::tasks

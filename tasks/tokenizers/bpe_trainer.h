// Learning a byte-pair encoding from text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tasks/tokenizers/bpe_tables.h"

namespace basin::tasks {

struct BpeTrainerOptions {
  std::int64_t vocabulary = 8192;  ///< tokens at most, the 256 bytes among them
  std::int64_t min_frequency = 2;  ///< a pair that is rarer is not merged
};

/// R. Sennrich et al. 2016, algorithm 1, on bytes: the most frequent pair of neighbours within a
/// piece of text (gpt2_pattern.h) becomes a token, again and again. Of pairs that are equally
/// frequent the one with the smaller left id goes first, then the one with the smaller right id;
/// the tables depend on nothing but the texts and the options. The first 256 ids are the bytes in
/// GPT-2's order.
class BpeTrainer {
 public:
  /// Called now and then with the tokens there are and the tokens there may be; false stops, and
  /// the tables are those learned so far.
  using Progress = std::function<bool(std::int64_t done, std::int64_t total)>;

  /// Throws Error unless 256 <= vocabulary < 2^31 and min_frequency >= 1.
  explicit BpeTrainer(const BpeTrainerOptions& options);

  /// Counts the pieces of a text that is shown bit by bit, as in Tokenizer::encode_piece(). Memory
  /// grows with the number of different pieces, not with the length of the text.
  std::size_t add_piece(std::string_view text, bool at_end);
  /// Different pieces so far.
  std::size_t distinct_pieces() const { return counts_.size(); }

  /// Fewer tokens than asked for come out if no pair is frequent enough any more.
  BpeTables train(const Progress& progress = {}) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  BpeTrainerOptions options_;
  std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> counts_;
};

}  // namespace basin::tasks

#include "tasks/tokenizers/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "tasks/tokenizers/byte_alphabet.h"
#include "tasks/tokenizers/gpt2_pattern.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

using Pair = std::uint64_t;

Pair pair_of(std::int32_t left, std::int32_t right) {
  return static_cast<Pair>(left) << 32 | static_cast<Pair>(right);
}

struct PairHash {
  std::size_t operator()(Pair pair) const {
    return static_cast<std::size_t>((pair ^ pair >> 32) * 0x9E3779B97F4A7C15u >> 16);
  }
};

struct Word {
  std::size_t first = 0;  // of its tokens
  std::size_t size = 0;
  std::int64_t count = 0;
};

struct Uses {
  std::int64_t count = 0;            // neighbours of this kind in all words
  std::vector<std::uint32_t> words;  // that have the pair, or had it once
  bool is_merge = false;             // is in the list of merges already
};

// A count that was right when it was noted.
struct Candidate {
  std::int64_t count = 0;
  Pair pair = 0;
  // The largest count is at the top of the queue, of equal ones that of the smallest pair.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// The state of learning. Counts are kept up to date: a merge touches only words that have the pair.
class Learning {
 public:
  template <class Counts>
  Learning(const Counts& counts, std::int64_t min_frequency) : min_frequency_(min_frequency) {
    std::array<std::int32_t, 256> id_of{};
    for (const std::uint8_t byte : bytes_in_gpt2_order()) {
      id_of[byte] = static_cast<std::int32_t>(tables_.tokens.size());
      ids_.emplace(std::string(1, static_cast<char>(byte)), id_of[byte]);
      tables_.tokens.emplace_back(1, static_cast<char>(byte));
    }
    for (const auto& [piece, count] : counts) {
      if (piece.size() > 1) {
        words_.push_back({symbols_.size(), piece.size(), count});
        for (const char c : piece) {
          symbols_.push_back(id_of[static_cast<unsigned char>(c)]);
        }
      }
    }
    for (std::size_t word = 0; word < words_.size(); ++word) {
      const std::span<std::int32_t> tokens = tokens_of(words_[word]);
      for (std::size_t n = 0; n + 1 < tokens.size(); ++n) {
        add(pair_of(tokens[n], tokens[n + 1]), word);
      }
    }
    note_grown();
  }

  const BpeTables& tables() const { return tables_; }

  // Does the best merge; false if there is none.
  bool step() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const std::int64_t count = uses_[best.pair].count;
      if (count == best.count) {
        merge(best.pair);
        return true;
      }
      // The count fell since, or grew and was noted anew then.
      if (count < best.count) {
        push(best.pair, count);
      }
    }
    return false;
  }

 private:
  std::span<std::int32_t> tokens_of(const Word& word) {
    return std::span(symbols_).subspan(word.first, word.size);
  }

  void push(Pair pair, std::int64_t count) {
    if (count >= min_frequency_) {
      queue_.push({count, pair});
    }
  }

  void add(Pair pair, std::size_t word) {
    Uses& uses = uses_[pair];
    uses.count += words_[word].count;
    if (uses.words.empty() || uses.words.back() != word) {
      uses.words.push_back(static_cast<std::uint32_t>(word));
    }
    if (grown_.empty() || grown_.back() != pair) {
      grown_.push_back(pair);
    }
  }

  void note_grown() {
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const Pair pair : grown_) {
      push(pair, uses_[pair].count);
    }
    grown_.clear();
  }

  void merge(Pair pair) {
    const auto left = static_cast<std::int32_t>(pair >> 32);
    const auto right = static_cast<std::int32_t>(pair & 0xFFFFFFFFu);
    const std::string bytes = tables_.tokens[static_cast<std::size_t>(left)] +
                              tables_.tokens[static_cast<std::size_t>(right)];
    const auto [known, fresh] =
        ids_.emplace(bytes, static_cast<std::int32_t>(tables_.tokens.size()));
    const std::int32_t merged = known->second;
    if (fresh) {
      tables_.tokens.push_back(bytes);
    }
    // A pair comes back where a merge gives one of its halves in a way that was not known when the
    // pair was merged. The encoder then merges it by the rank that it has.
    Uses& uses = uses_[pair];
    if (!uses.is_merge) {
      tables_.merges.push_back({left, right, merged});
      uses.is_merge = true;
    }
    const std::vector<std::uint32_t> words = std::move(uses.words);
    uses.words.clear();
    uses.count = 0;
    for (const std::uint32_t word : words) {
      merge_in(word, left, right, merged);
    }
    uses_[pair].count = 0;
    note_grown();
  }

  void merge_in(std::size_t number, std::int32_t left, std::int32_t right, std::int32_t merged) {
    Word& word = words_[number];
    const std::span<std::int32_t> tokens = tokens_of(word);
    std::size_t size = 0;
    for (std::size_t n = 0; n < tokens.size(); ++size) {
      if (tokens[n] != left || n + 1 == tokens.size() || tokens[n + 1] != right) {
        tokens[size] = tokens[n];
        ++n;
        continue;
      }
      if (size > 0) {
        uses_[pair_of(tokens[size - 1], left)].count -= word.count;
        add(pair_of(tokens[size - 1], merged), number);
      }
      if (n + 2 < tokens.size()) {
        uses_[pair_of(right, tokens[n + 2])].count -= word.count;
        add(pair_of(merged, tokens[n + 2]), number);
      }
      tokens[size] = merged;
      n += 2;
    }
    word.size = size;
  }

  std::int64_t min_frequency_;
  BpeTables tables_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<std::int32_t> symbols_;  // of all words
  std::vector<Word> words_;
  std::unordered_map<Pair, Uses, PairHash> uses_;
  std::vector<Pair> grown_;  // since counts were last noted in the queue
  std::priority_queue<Candidate> queue_;
};

}  // namespace

BpeTrainer::BpeTrainer(const BpeTrainerOptions& options) : options_(options) {
  if (options.vocabulary < 256 || options.vocabulary > std::numeric_limits<std::int32_t>::max()) {
    fail(
        "[byte-pair trainer] the vocabulary must have the 256 bytes and less than 2^31 tokens; got "
        "{}",
        options.vocabulary);
  }
  if (options.min_frequency < 1) {
    fail("[byte-pair trainer] the least frequency of a pair must be positive; got {}",
         options.min_frequency);
  }
}

std::size_t BpeTrainer::add_piece(std::string_view text, bool at_end) {
  return for_each_piece(text, at_end, [&](std::string_view piece) {
    const auto found = counts_.find(piece);
    if (found != counts_.end()) {
      ++found->second;
    } else {
      counts_.emplace(piece, 1);
    }
  });
}

BpeTables BpeTrainer::train(const Progress& progress) const {
  Learning learning(counts_, options_.min_frequency);
  const auto tokens = [&] { return static_cast<std::int64_t>(learning.tables().tokens.size()); };
  while (tokens() < options_.vocabulary && (!progress || progress(tokens(), options_.vocabulary)) &&
         learning.step()) {
  }
  return learning.tables();
}

}  // namespace basin::tasks

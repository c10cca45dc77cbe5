// Merging the bytes of a word into tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tasks/tokenizers/bpe_tables.h"

namespace basin::tasks {

/// R. Sennrich et al. 2016, algorithm 1, as GPT-2 applies it: of all merges that are possible in a
/// word the strongest is done wherever it is, from left to right; then again, until none is left.
/// Takes O(n log n) for n bytes. Never changes after it was made.
class BpeMerger {
 public:
  /// Takes tables that passed check_bpe_tables().
  explicit BpeMerger(const BpeTables& tables);

  /// Memory that one call leaves to the next.
  class Scratch {
    friend class BpeMerger;

    // A token of the word so far; those that were merged away are skipped by the links.
    struct Symbol {
      std::size_t previous, next;  // positions; next is the length of the word behind the last one
      std::int32_t id;
      std::int32_t rank;  // of the merge with the next symbol, kNoMerge if there is none
    };
    struct Candidate {
      std::int32_t rank;
      std::size_t position;
    };
    static bool comes_later(const Candidate& a, const Candidate& b);
    void push(std::int32_t rank, std::size_t position);
    Candidate pop();

    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
    std::vector<std::size_t> places_;
  };

  /// Appends the ids of the tokens that `word` (not empty) is merged into.
  void merge(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const;

 private:
  struct Slot {
    std::uint64_t pair;
    std::int32_t rank;
  };
  static std::uint64_t pair_of(std::int32_t left, std::int32_t right);
  std::size_t slot_of(std::uint64_t pair) const;
  std::int32_t rank_of(std::int32_t left, std::int32_t right) const;
  void merge_at(std::size_t position, std::int32_t rank, Scratch& scratch) const;

  std::vector<std::int32_t> byte_ids_;  // the id of each byte
  std::vector<std::int32_t> merged_;    // the id that the merge of each rank gives
  // A hash table with open addressing, of a size that is a power of two; at most half full.
  std::vector<Slot> slots_;
};

}  // namespace basin::tasks

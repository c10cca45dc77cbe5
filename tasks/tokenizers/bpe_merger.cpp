#include "tasks/tokenizers/bpe_merger.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace basin::tasks {

namespace {

// Of a pair that does not merge: behind every rank.
constexpr std::int32_t kNoMerge = std::numeric_limits<std::int32_t>::max();
constexpr std::uint64_t kNoPair = std::numeric_limits<std::uint64_t>::max();

// Multiplicative hashing (D. Knuth, The Art of Computer Programming, volume 3, 6.4); the high bits
// of the product depend on all bits of the pair.
std::size_t hash_of(std::uint64_t pair) {
  return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> 32);
}

}  // namespace

bool BpeMerger::Scratch::comes_later(const Candidate& a, const Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

void BpeMerger::Scratch::push(std::int32_t rank, std::size_t position) {
  heap_.push_back({rank, position});
  std::push_heap(heap_.begin(), heap_.end(), comes_later);
}

BpeMerger::Scratch::Candidate BpeMerger::Scratch::pop() {
  std::pop_heap(heap_.begin(), heap_.end(), comes_later);
  const Candidate first = heap_.back();
  heap_.pop_back();
  return first;
}

BpeMerger::BpeMerger(const BpeTables& tables) : byte_ids_(256) {
  for (std::size_t id = 0; id < tables.tokens.size(); ++id) {
    if (tables.tokens[id].size() == 1) {
      byte_ids_[static_cast<unsigned char>(tables.tokens[id].front())] =
          static_cast<std::int32_t>(id);
    }
  }
  slots_.assign(std::bit_ceil(2 * tables.merges.size() + 1), {kNoPair, kNoMerge});
  for (const BpeMerge& merge : tables.merges) {
    const std::uint64_t pair = pair_of(merge.left, merge.right);
    slots_[slot_of(pair)] = {pair, static_cast<std::int32_t>(merged_.size())};
    merged_.push_back(merge.merged);
  }
}

std::uint64_t BpeMerger::pair_of(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right);
}

// Where the pair is, or would be.
std::size_t BpeMerger::slot_of(std::uint64_t pair) const {
  std::size_t at = hash_of(pair) & (slots_.size() - 1);
  while (slots_[at].pair != pair && slots_[at].pair != kNoPair) {
    at = (at + 1) & (slots_.size() - 1);
  }
  return at;
}

std::int32_t BpeMerger::rank_of(std::int32_t left, std::int32_t right) const {
  return slots_[slot_of(pair_of(left, right))].rank;
}

// Does the merge of this rank at this position, if it is still possible there, and notes what has
// become possible beside it.
void BpeMerger::merge_at(std::size_t position, std::int32_t rank, Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  auto& left = symbols[position];
  if (left.rank != rank) {
    return;
  }
  auto& right = symbols[left.next];
  right.rank = kNoMerge;
  left.id = merged_[static_cast<std::size_t>(rank)];
  left.next = right.next;
  left.rank = kNoMerge;
  if (left.next < symbols.size()) {
    symbols[left.next].previous = position;
    left.rank = rank_of(left.id, symbols[left.next].id);
    if (left.rank != kNoMerge) {
      scratch.push(left.rank, position);
    }
  }
  if (position > 0) {
    auto& before = symbols[left.previous];
    before.rank = rank_of(before.id, left.id);
    if (before.rank != kNoMerge) {
      scratch.push(before.rank, left.previous);
    }
  }
}

void BpeMerger::merge(std::string_view word, Scratch& scratch,
                      std::vector<std::int32_t>& ids) const {
  auto& symbols = scratch.symbols_;
  symbols.resize(word.size());
  scratch.heap_.clear();
  for (std::size_t n = 0; n < word.size(); ++n) {
    symbols[n] = {n - 1, n + 1, byte_ids_[static_cast<unsigned char>(word[n])], kNoMerge};
  }
  for (std::size_t n = 0; n + 1 < word.size(); ++n) {
    symbols[n].rank = rank_of(symbols[n].id, symbols[n + 1].id);
    if (symbols[n].rank != kNoMerge) {
      scratch.heap_.push_back({symbols[n].rank, n});
    }
  }
  std::make_heap(scratch.heap_.begin(), scratch.heap_.end(), Scratch::comes_later);

  while (!scratch.heap_.empty()) {
    // All places of the strongest merge go first, even if one of them makes a stronger one
    // possible; that happens in tables whose merges are not in the order in which they were
    // learned.
    const std::int32_t rank = scratch.heap_.front().rank;
    scratch.places_.clear();
    while (!scratch.heap_.empty() && scratch.heap_.front().rank == rank) {
      scratch.places_.push_back(scratch.pop().position);
    }
    for (const std::size_t position : scratch.places_) {
      merge_at(position, rank, scratch);
    }
  }
  for (std::size_t n = 0; n < word.size(); n = symbols[n].next) {
    ids.push_back(symbols[n].id);
  }
}

}  // namespace basin::tasks

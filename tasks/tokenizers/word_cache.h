// The tokens of words that come again and again.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace basin::tasks {

/// Remembers the ids of short words. Each word has one place, which it shares with others: the last
/// one to come is remembered, so that the memory is bounded and frequent words are mostly there.
class WordCache {
 public:
  WordCache();

  /// The ids of `word`, or nothing if they are not known. Valid until the next remember().
  std::span<const std::int32_t> find(std::string_view word) const;
  /// Words that are too long, or are too many ids, are not remembered.
  void remember(std::string_view word, std::span<const std::int32_t> ids);

 private:
  static constexpr std::size_t kMostBytes = 16;
  static constexpr std::size_t kMostIds = 7;
  struct Entry {
    std::array<std::uint64_t, 2> bytes{};  // of the word, zeros behind it
    std::uint8_t size = 0;                 // bytes; 0: there is no word here
    std::uint8_t count = 0;                // ids
    std::array<std::int32_t, kMostIds> ids{};
  };
  static Entry key_of(std::string_view word);
  static std::size_t place_of(const Entry& key);

  std::vector<Entry> entries_;
};

}  // namespace basin::tasks

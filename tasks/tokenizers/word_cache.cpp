#include "tasks/tokenizers/word_cache.h"

#include <algorithm>
#include <cstring>

namespace basin::tasks {

namespace {

constexpr std::size_t kEntriesLog2 = 15;

}  // namespace

WordCache::WordCache() : entries_(std::size_t{1} << kEntriesLog2) {}

WordCache::Entry WordCache::key_of(std::string_view word) {
  Entry key;
  std::memcpy(key.bytes.data(), word.data(), word.size());
  key.size = static_cast<std::uint8_t>(word.size());
  return key;
}

std::size_t WordCache::place_of(const Entry& key) {
  const std::uint64_t mixed =
      (key.bytes[0] ^ (key.bytes[1] + key.size) * 0xC2B2AE3D27D4EB4Fu) * 0x9E3779B97F4A7C15u;
  return static_cast<std::size_t>(mixed >> (64 - kEntriesLog2));
}

std::span<const std::int32_t> WordCache::find(std::string_view word) const {
  if (word.size() > kMostBytes) {
    return {};
  }
  const Entry key = key_of(word);
  const Entry& entry = entries_[place_of(key)];
  const bool same = entry.bytes == key.bytes && entry.size == key.size;
  return same ? std::span<const std::int32_t>(entry.ids.data(), entry.count)
              : std::span<const std::int32_t>();
}

void WordCache::remember(std::string_view word, std::span<const std::int32_t> ids) {
  if (word.size() > kMostBytes || ids.size() > kMostIds) {
    return;
  }
  Entry key = key_of(word);
  key.count = static_cast<std::uint8_t>(ids.size());
  std::copy(ids.begin(), ids.end(), key.ids.begin());
  entries_[place_of(key)] = key;
}

}  // namespace basin::tasks

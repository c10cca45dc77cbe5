// A number that tells texts apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace basin::tasks {

/// Hashes bytes that are shown piece by piece; where they are cut makes no difference. Two texts
/// that differ by accident have different hashes; who wants two that agree can make them.
class TextHash {
 public:
  void add(std::string_view bytes);
  std::uint64_t value() const;

 private:
  void mix(std::uint64_t word);

  std::uint64_t state_ = 0x9E3779B97F4A7C15u;
  std::uint64_t word_ = 0;   // bytes that do not fill a word yet
  std::size_t pending_ = 0;  // how many
  std::uint64_t length_ = 0;
};

}  // namespace basin::tasks

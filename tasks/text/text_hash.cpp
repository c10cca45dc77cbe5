#include "tasks/text/text_hash.h"

#include <bit>
#include <cstring>

namespace basin::tasks {

namespace {

// The last step of MurmurHash3 (A. Appleby): every bit of the input changes half of the output.
std::uint64_t finish(std::uint64_t x) {
  x = (x ^ x >> 33) * 0xFF51AFD7ED558CCDu;
  x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53u;
  return x ^ x >> 33;
}

}  // namespace

void TextHash::mix(std::uint64_t word) {
  state_ = (std::rotl(state_, 27) ^ word) * 0xC2B2AE3D27D4EB4Fu + 0x165667B19E3779F9u;
}

void TextHash::add(std::string_view bytes) {
  length_ += bytes.size();
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (pending_ == 0 && bytes.size() - at >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, sizeof(word));
      mix(word);
      at += sizeof(word);
      continue;
    }
    word_ |= std::uint64_t{static_cast<unsigned char>(bytes[at++])} << (8 * pending_);
    if (++pending_ == sizeof(std::uint64_t)) {
      mix(word_);
      word_ = 0;
      pending_ = 0;
    }
  }
}

std::uint64_t TextHash::value() const {
  TextHash last = *this;
  last.mix(word_);
  last.mix(length_);
  return finish(last.state_);
}

}  // namespace basin::tasks

#include "tasks/tokenizers/character_tokenizer.h"

#include <algorithm>
#include <utility>

#include "tasks/tokenizers/utf8.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::size_t kCodePoints = 0x110000;

// Calls use(code point) for the characters of a text, but for a last one that may go on.
template <class Use>
std::size_t for_each_character(std::string_view text, bool at_end, Use&& use) {
  std::size_t at = 0;
  while (at < text.size()) {
    const CodePoint point = code_point_at(text, at);
    const bool may_go_on = point.value >= kStrayByte && point.value <= kStrayByte + 0xFF &&
                           text.size() - at < kMostBytesOfCodePoint;
    if (!at_end && may_go_on) {
      break;
    }
    use(point.value);
    at += point.size;
  }
  return at;
}

bool is_character(char32_t value) {
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  const bool stray_byte = value >= kStrayByte + 0x80 && value <= kStrayByte + 0xFF;
  return value < kCodePoints && (!surrogate || stray_byte);
}

}  // namespace

CharacterTokenizer::CharacterTokenizer(std::vector<char32_t> characters)
    : characters_(std::move(characters)), bytes_(1) {
  append_code_point(kReplacement, bytes_.front());
  for (std::size_t n = 0; n < characters_.size(); ++n) {
    const char32_t character = characters_[n];
    if (!is_character(character) || (n > 0 && character <= characters_[n - 1])) {
      fail("[tokenizer characters] U+{:04X} is no character or not above the one before it",
           static_cast<std::uint32_t>(character));
    }
    ids_.emplace(character, static_cast<std::int32_t>(n + 1));
    append_code_point(character, bytes_.emplace_back());
  }
}

std::string CharacterTokenizer::description() const {
  return fmt::format("characters, vocabulary {}", vocabulary());
}

std::int64_t CharacterTokenizer::vocabulary() const {
  return static_cast<std::int64_t>(bytes_.size());
}

std::size_t CharacterTokenizer::encode_piece(std::string_view text, bool at_end,
                                             std::vector<std::int32_t>& ids) const {
  return for_each_character(text, at_end, [&](char32_t character) {
    const auto found = ids_.find(character);
    ids.push_back(found == ids_.end() ? 0 : found->second);
  });
}

std::string_view CharacterTokenizer::bytes_of(std::int32_t id) const {
  return bytes_[static_cast<std::size_t>(id)];
}

CharacterTrainer::CharacterTrainer() : seen_(kCodePoints, false) {}

std::size_t CharacterTrainer::add_piece(std::string_view text, bool at_end) {
  return for_each_character(text, at_end, [&](char32_t character) {
    if (!seen_[character]) {
      seen_[character] = true;
      characters_.push_back(character);
    }
  });
}

CharacterTokenizer CharacterTrainer::train() const {
  std::vector<char32_t> characters = characters_;
  std::sort(characters.begin(), characters.end());
  return CharacterTokenizer(std::move(characters));
}

}  // namespace basin::tasks

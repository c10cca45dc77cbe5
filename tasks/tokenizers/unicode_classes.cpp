#include "tasks/tokenizers/unicode_classes.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace basin::tasks {

namespace {

struct Range {
  char32_t first, last;
  CharacterClass kind;
};

constexpr CharacterClass L = CharacterClass::letter;
constexpr CharacterClass N = CharacterClass::number;
constexpr CharacterClass W = CharacterClass::white_space;

constexpr Range kRanges[] = {
#include "tasks/tokenizers/unicode_classes.inc"
};

constexpr CharacterClass search(char32_t code_point) {
  const Range* range =
      std::partition_point(std::begin(kRanges), std::end(kRanges),
                           [&](const Range& candidate) { return candidate.last < code_point; });
  return range != std::end(kRanges) && range->first <= code_point ? range->kind
                                                                  : CharacterClass::other;
}

// Most text is of these.
constexpr char32_t kDirect = 0x600;

constexpr std::array<CharacterClass, kDirect> direct_classes() {
  std::array<CharacterClass, kDirect> classes{};
  for (char32_t n = 0; n < kDirect; ++n) {
    classes[n] = search(n);
  }
  return classes;
}

constexpr std::array<CharacterClass, kDirect> kClasses = direct_classes();

}  // namespace

CharacterClass class_of(char32_t code_point) {
  return code_point < kDirect ? kClasses[code_point] : search(code_point);
}

}  // namespace basin::tasks

#include "tasks/tokenizers/gpt2_pattern.h"

#include "tasks/tokenizers/unicode_classes.h"
#include "tasks/tokenizers/utf8.h"

namespace basin::tasks {

namespace {

struct Character {
  CharacterClass kind = CharacterClass::other;
  std::size_t size = 0;
};

Character character_at(std::string_view text, std::size_t at) {
  const CodePoint point = code_point_at(text, at);
  return {class_of(point.value), point.size};
}

// 's|'t|'re|'ve|'m|'ll|'d, or nothing.
std::size_t contraction_size(std::string_view rest) {
  for (const std::string_view contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (rest.substr(0, contraction.size()) == contraction) {
      return contraction.size();
    }
  }
  return 0;
}

// \s+(?!\S)|\s+: the whole run at the end of the text; before anything else all of it but its last
// character, which that may take as the blank in front of it; but never nothing.
std::size_t white_space_end(std::string_view text, std::size_t at) {
  std::size_t last = at;  // where the last white space begins
  std::size_t end = at;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (next.kind != CharacterClass::white_space) {
      return last == at ? end : last;
    }
    last = end;
    end += next.size;
  }
  return end;
}

}  // namespace

std::size_t piece_end(std::string_view text, std::size_t at) {
  if (text[at] == '\'') {
    const std::size_t size = contraction_size(text.substr(at, 3));
    if (size > 0) {
      return at + size;
    }
  }
  std::size_t end = text[at] == ' ' && at + 1 < text.size() ? at + 1 : at;
  const Character first = character_at(text, end);
  if (first.kind == CharacterClass::white_space) {
    return white_space_end(text, at);
  }
  end += first.size;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (next.kind != first.kind) {
      break;
    }
    end += next.size;
  }
  return end;
}

}  // namespace basin::tasks

// The kinds of characters that the GPT-2 tokenizer tells apart.
#pragma once

#include <cstdint>

namespace basin::tasks {

/// General category L, general category N, property White_Space, and all others: what the module
/// `regex` of Python means by \p{L}, \p{N} and \s. The version of Unicode is in
/// unicode_classes.inc.
enum class CharacterClass : std::uint8_t { other, letter, number, white_space };

CharacterClass class_of(char32_t code_point);

}  // namespace basin::tasks

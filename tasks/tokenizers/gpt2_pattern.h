// How GPT-2 cuts text into pieces before it merges bytes.
#pragma once

#include <cstddef>
#include <string_view>

namespace basin::tasks {

/// The end of the piece that begins at `at` < text.size(). Pieces are the matches, one after the
/// other, of the pattern of A. Radford et al. 2019 (encoder.py)
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// in which the first alternative that matches counts. A byte that is no part of well-formed UTF-8
/// is neither letter nor number nor space, as if the text had been decoded with "surrogateescape".
std::size_t piece_end(std::string_view text, std::size_t at);

/// A piece that ends this many bytes before the end of what is known of a text ends there whatever
/// follows. Contractions look three bytes ahead, and white space looks at one code point behind a
/// last one that it may have to give back.
inline constexpr std::size_t kPieceLookahead = 8;

/// Calls use(piece) for each piece of a text. Without `at_end` the text goes on, and the pieces
/// that may go on with it are left out. Returns the bytes in all pieces used.
template <class Use>
std::size_t for_each_piece(std::string_view text, bool at_end, Use&& use) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = piece_end(text, at);
    if (!at_end && text.size() - end < kPieceLookahead) {
      break;
    }
    use(text.substr(at, end - at));
    at = end;
  }
  return at;
}

}  // namespace basin::tasks

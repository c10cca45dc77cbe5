// Texts to try tokenizers on.
#pragma once

#include <string>

#include "tests/support/bpe_reference.h"

namespace basin::test {

inline std::string random_bytes(std::size_t size, Random& random) {
  std::string bytes;
  for (std::size_t n = 0; n < size; ++n) {
    bytes += static_cast<char>(random());
  }
  return bytes;
}

/// Letters, numbers, blanks, contractions and other scripts in random order, now and then cut in
/// the middle of a character.
inline std::string random_text(std::size_t parts, Random& random) {
  static const std::string all[] = {" ",
                                    " ",
                                    "  ",
                                    "\n",
                                    "\n\n",
                                    "\t",
                                    "\r\n",
                                    "a",
                                    "the",
                                    "ing",
                                    "Z",
                                    "'s",
                                    "'re",
                                    "'LL",
                                    "'",
                                    "0",
                                    "42",
                                    "!?",
                                    "...",
                                    "\xC3\xA9",
                                    "e\xCC\x81",
                                    "\xC2\xA0",
                                    "\xE3\x80\x80",
                                    "\xE4\xB8\xAD\xE6\x96\x87",
                                    "\xC2\xB2",
                                    "\xF0\x9F\x98\x80",
                                    "\xE2\x80\x8D",
                                    "\xE2\x80\x99s",
                                    "\xD0\x9F\xD1\x80",
                                    "\xC2\x85",
                                    "\xFF",
                                    "\xED\xA0\x80"};
  std::string text;
  for (std::size_t n = 0; n < parts; ++n) {
    const std::string& part = all[below(std::size(all), random)];
    text += below(50, random) == 0 ? part.substr(0, part.size() - 1) : part;
  }
  return text;
}

}  // namespace basin::test

// Every character of a training text is a token.
#pragma once

#include <unordered_map>

#include "tasks/tokenizers/tokenizer.h"

namespace basin::tasks {

/// Id 0 stands for all characters that the training text did not have; it decodes as U+FFFD. The
/// others follow in the order of their code points. A byte that is no part of well-formed UTF-8 is
/// a character of its own (see utf8.h), so that texts whose characters are all known come back from
/// decode() byte for byte.
class CharacterTokenizer final : public Tokenizer {
 public:
  /// Characters as code_point_at() gives them, strictly ascending. Throws Error otherwise.
  explicit CharacterTokenizer(std::vector<char32_t> characters);

  std::string name() const override { return "characters"; }
  std::string description() const override;
  std::int64_t vocabulary() const override;

  std::size_t encode_piece(std::string_view text, bool at_end,
                           std::vector<std::int32_t>& ids) const override;
  std::string_view bytes_of(std::int32_t id) const override;
  /// characters.txt.
  void save(const std::string& folder) const override;

 private:
  std::vector<char32_t> characters_;
  std::vector<std::string> bytes_;  // by id
  std::unordered_map<char32_t, std::int32_t> ids_;
};

/// Collects the characters of a text that is shown piece by piece, as in Tokenizer::encode_piece().
class CharacterTrainer {
 public:
  CharacterTrainer();
  std::size_t add_piece(std::string_view text, bool at_end);
  CharacterTokenizer train() const;

 private:
  std::vector<bool> seen_;            // by code point
  std::vector<char32_t> characters_;  // those seen
};

/// The characters in the file characters.txt in `folder`: the line "#version: basin characters 1,
/// <n> characters", then n lines in ascending order, "U+0041" for a code point or "byte FF" for a
/// byte outside UTF-8. Throws FileError with path and line for everything else.
std::vector<char32_t> read_characters(const std::string& folder);
std::vector<char32_t> parse_characters(std::string_view text, const std::string& path);

}  // namespace basin::tasks

// Text as numbers and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace basin::tasks {

/// Turns bytes into ids in [0, vocabulary()) and back. A tokenizer never changes after it was made;
/// all functions may be called by several threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Its name in tokenizer_kinds().
  virtual std::string name() const = 0;
  /// One line for people: what it is and how large.
  virtual std::string description() const = 0;
  virtual std::int64_t vocabulary() const = 0;

  /// Appends the ids of `text` and returns how many bytes they stand for. With `at_end` that is all
  /// of them. Without, the text goes on behind what is shown, and the last few bytes may have to
  /// wait for it: show them again in front of what follows. The ids do not depend on how a text is
  /// cut.
  virtual std::size_t encode_piece(std::string_view text, bool at_end,
                                   std::vector<std::int32_t>& ids) const = 0;
  /// What an id in [0, vocabulary()) stands for. Valid as long as the tokenizer.
  virtual std::string_view bytes_of(std::int32_t id) const = 0;

  /// The ids of a whole text.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// The bytes of all ids, one after the other. Throws Error for an id outside the vocabulary.
  std::string decode(std::span<const std::int32_t> ids) const;

  /// Writes the files that make_tokenizer(name(), folder) reads back, over those that are there.
  /// The folder must exist. Throws FileError.
  virtual void save(const std::string& folder) const = 0;
};

/// A tokenizer by name. To add one, write a class below tasks/tokenizers/ and an entry in
/// tasks/tokenizers/registry.cpp.
struct TokenizerKind {
  std::string name;
  std::string description;         ///< one line
  std::vector<std::string> files;  ///< what it is read from; empty if it needs nothing
  std::unique_ptr<Tokenizer> (*make)(const std::string& folder);
};

const std::vector<TokenizerKind>& tokenizer_kinds();
/// Throws Error listing the tokenizers if there is none of this name.
const TokenizerKind& tokenizer_kind(const std::string& name);
/// The tokenizer whose files are in `folder`, which is empty for one that needs none. Throws Error
/// if the name or the need of a folder is mistaken, FileError for files that cannot be read.
std::unique_ptr<Tokenizer> make_tokenizer(const std::string& name, const std::string& folder = "");
/// The tokenizer whose files lie in `folder`, of whatever kind it is. Throws FileError if there are
/// files of none or of several, or they cannot be read.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& folder);

}  // namespace basin::tasks

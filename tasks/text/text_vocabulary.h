// From the tokens that a corpus is stored in to those that a model sees.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tasks/task.h"
#include "tasks/text/corpus.h"
#include "tasks/tokenizers/tokenizer.h"

namespace basin::tasks {

/// Tokens lose nothing in the store: text is stored by a tokenizer that knows all of it, and a
/// table says what each stored token is for the model. So the bytes of a character that the model
/// has no token for are still counted, and the characters of a held-back part, which is known only
/// once the text has been cut into tokens, need not be known beforehand.
class TextVocabulary {
 public:
  /// `tokenizer` as in TaskOptions. For characters all `paths` are read through. Throws FileError,
  /// PreparationStopped.
  TextVocabulary(const std::string& tokenizer, const std::vector<std::string>& paths,
                 const PreparationCallback& progress);

  /// What corpora are to be read with.
  const Tokenizer& stored() const { return *stored_; }
  /// To be called once: how often each stored token is there to train on. The model's characters
  /// are those that are, unless files say otherwise.
  void set_training_counts(const std::vector<std::int64_t>& counts);

  std::int64_t size() const { return size_; }
  std::int64_t id(std::int64_t stored) const { return ids_[static_cast<std::size_t>(stored)]; }
  /// The bytes that a stored token stands for.
  std::int64_t bytes(std::int64_t stored) const { return bytes_[static_cast<std::size_t>(stored)]; }
  /// The model's tokens of a text.
  std::vector<std::int64_t> encode(std::string_view text) const;
  /// What a token of the model stands for; U+FFFD for one that stands for several things. Throws
  /// Error outside the vocabulary.
  std::string text_of(std::int64_t token) const;
  /// What a token is called in messages and tables: "byte" or "token".
  const char* unit() const { return is_bytes_ ? "byte" : "token"; }
  /// Of the bytes of all the model's tokens.
  std::uint64_t hash() const { return hash_; }

 private:
  bool is_bytes_ = false;
  bool is_characters_of_text_ = false;
  std::unique_ptr<Tokenizer> stored_;
  std::unique_ptr<Tokenizer> model_;  // where it is another one and comes from files
  std::int64_t size_ = 0;
  std::vector<std::int32_t> ids_;    // by stored token
  std::vector<std::int32_t> bytes_;  // by stored token
  std::uint64_t hash_ = 0;
};

}  // namespace basin::tasks

#include "tasks/text/text_vocabulary.h"

#include "tasks/text/text_hash.h"
#include "tasks/tokenizers/byte_tokenizer.h"
#include "tasks/tokenizers/character_tokenizer.h"
#include "tensor/error.h"

namespace basin::tasks {

namespace {

CharacterTokenizer all_characters(const std::vector<std::string>& paths,
                                  const PreparationCallback& progress) {
  CharacterTrainer trainer;
  for (const std::string& path : paths) {
    for_each_text(
        path, "collecting the characters of " + path, progress,
        [&](std::string_view text, bool at_end) { return trainer.add_piece(text, at_end); });
  }
  return trainer.train();
}

}  // namespace

TextVocabulary::TextVocabulary(const std::string& tokenizer, const std::vector<std::string>& paths,
                               const PreparationCallback& progress)
    : is_bytes_(tokenizer.empty() || tokenizer == "bytes"),
      is_characters_of_text_(tokenizer == "characters") {
  if (is_bytes_) {
    stored_ = std::make_unique<ByteTokenizer>();
  } else if (!is_characters_of_text_) {
    stored_ = open_tokenizer(tokenizer);
    if (stored_->name() == "characters") {
      model_ = std::move(stored_);
    }
  }
  if (stored_ == nullptr) {
    stored_ = std::make_unique<CharacterTokenizer>(all_characters(paths, progress));
  }
}

void TextVocabulary::set_training_counts(const std::vector<std::int64_t>& counts) {
  TextHash hash;
  size_ = is_characters_of_text_ ? 1 : model_ ? model_->vocabulary() : stored_->vocabulary();
  for (std::int64_t token = 0; token < stored_->vocabulary(); ++token) {
    const std::string_view bytes = stored_->bytes_of(static_cast<std::int32_t>(token));
    bytes_.push_back(static_cast<std::int32_t>(bytes.size()));
    std::int32_t id = static_cast<std::int32_t>(token);
    if (model_) {
      id = model_->encode(bytes).front();
    } else if (is_characters_of_text_) {
      const bool is_known = token > 0 && counts[static_cast<std::size_t>(token)] > 0;
      id = is_known ? static_cast<std::int32_t>(size_++) : 0;
      hash.add(is_known ? bytes : "");
    }
    ids_.push_back(id);
  }
  const Tokenizer& named = model_ ? *model_ : *stored_;
  for (std::int64_t id = 0; id < named.vocabulary() && !is_characters_of_text_; ++id) {
    const std::string_view bytes = named.bytes_of(static_cast<std::int32_t>(id));
    hash.add(std::string(1, static_cast<char>(bytes.size())));
    hash.add(bytes);
  }
  hash_ = hash.value();
}

std::vector<std::int64_t> TextVocabulary::encode(std::string_view text) const {
  std::vector<std::int64_t> tokens;
  for (const std::int32_t stored : stored_->encode(text)) {
    tokens.push_back(id(stored));
  }
  return tokens;
}

std::string TextVocabulary::text_of(std::int64_t token) const {
  if (token < 0 || token >= size_) {
    fail("[TextVocabulary] there is no token {}; the vocabulary has {}", token, size_);
  }
  std::string text;
  for (std::size_t stored = 0; stored < ids_.size(); ++stored) {
    if (ids_[stored] == token) {
      if (!text.empty()) {
        return "\xEF\xBF\xBD";
      }
      text = stored_->bytes_of(static_cast<std::int32_t>(stored));
    }
  }
  return text;
}

}  // namespace basin::tasks

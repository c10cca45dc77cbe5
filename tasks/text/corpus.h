// Text of any size as tokens in a mapped file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/task.h"
#include "tasks/text/chunks.h"
#include "tasks/text/token_store.h"
#include "tasks/tokenizers/tokenizer.h"

namespace basin::tasks {

/// The tokens of all files that a path stands for (text_files.h), one document per file; empty
/// files give none.
struct Corpus {
  std::string path;
  TokenStore tokens;
  std::vector<Document> documents;
  std::int64_t bytes = 0;  ///< of text
  std::uint64_t hash = 0;  ///< of text and borders of documents, whatever the tokenizer
};

/// Needs memory for a few pieces of text, whatever their size: a plain file of bytes is mapped as
/// it is, everything else is encoded piece by piece into a temporary file (TokenWriter). Throws
/// FileError if there is no text, or it cannot be read or written; PreparationStopped.
Corpus read_corpus(const std::string& path, const Tokenizer& tokenizer,
                   const PreparationCallback& progress);

/// Shows every file of a path bit by bit, as in Tokenizer::encode_piece(), with the progress of
/// all; `what` says what is being done. Throws FileError, PreparationStopped.
void for_each_text(const std::string& path, const std::string& what,
                   const PreparationCallback& progress,
                   const std::function<std::size_t(std::string_view, bool)>& use);

/// Calls use(first, end) for the range in bounded pieces, with the progress in a whole of `total`
/// in between. Throws PreparationStopped.
void in_pieces(const Document& range, std::int64_t total, const std::string& what,
               const PreparationCallback& progress,
               const std::function<void(std::int64_t, std::int64_t)>& use);

}  // namespace basin::tasks

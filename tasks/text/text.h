// Next-token prediction on text: one file, or the files of a folder.
#pragma once

#include <memory>

#include "tasks/task.h"

namespace basin::tasks {

/// Chunks of `length` tokens; the target of a token is the next one in the same document (file).
/// Training chunks begin `stride` tokens apart (default: length); the short rest of a document is
/// left out, but one document of several that is shorter than a chunk is a padded chunk. In
/// evaluation every token of a document but its first is a target exactly once; from the second
/// chunk of a document on the first length - eval_stride positions are context only.
///
/// Of one text the last tenth of the tokens is held back and is what `validation` and `test` both
/// evaluate. With validation_data all of `data` is trained on; test_data replaces what `test`
/// evaluates.
///
/// The vocabulary is that of the tokenizer; "characters" has one id for each character of the
/// training part, and 0 for any other. Main metric: bits per byte. Texts are mapped or encoded into
/// temporary mapped files (corpus.h), so that memory does not depend on their size. batch() throws
/// FileError if a mapped file was changed.
///
/// Throws Error for a length or stride that cannot be; FileError for text that is missing,
/// unreadable, damaged or too short to give one chunk of each part.
std::unique_ptr<Task> make_text(const TaskOptions& options);

}  // namespace basin::tasks

// Next-byte prediction on one text file. The last tenth is held back: it is what `validation` and
// `test` both evaluate.
#pragma once

#include <memory>

#include "tasks/task.h"

namespace basin::tasks {

/// Chunks of `length` bytes without overlap; the target of a byte is the next one, so that every
/// byte of a part but its first is predicted exactly once (the last training chunk is dropped if it
/// is short, the last held-back one is padded). Main metric: bits per byte. Throws FileError for a
/// file that is missing, unreadable, damaged or too short to give one chunk of each part.
std::unique_ptr<Task> make_text(const TaskOptions& options);

}  // namespace basin::tasks

// Copying from memory: prefix(n) | marker | prefix, n = length / 2 - 1, of which the input shows
// the prefix and the marker and hides the second half behind padding. 100 000 examples to train on,
// 10 000 each for validation and test, made from their numbers and never stored.
#pragma once

#include <memory>

#include "tasks/task.h"

namespace basin::tasks {

/// Ids 0 ... vocabulary - 3 are symbols; the last two are the marker and the padding, which never
/// occur among the symbols. An example has length - 1 tokens. Main metric: the accuracy over the
/// second half. Throws Error unless length is even and >= 4 and vocabulary >= 4.
std::unique_ptr<Task> make_copying(const TaskOptions& options);

}  // namespace basin::tasks

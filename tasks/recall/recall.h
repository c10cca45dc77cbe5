// Associative recall: pairs of a key and a value, a marker, and the keys again in another order,
// each of which asks for its value. Several answers per sequence, as in S. Arora et al., "Zoology:
// measuring and improving recall in efficient language models" (2023).
#pragma once

#include <memory>

#include "tasks/task.h"

namespace basin::tasks {

/// k v k v ... | marker | k k k ..., options.length tokens with options.pairs pairs; 0 pairs: as
/// many as fit, (length - 1) / 3. The keys of an example differ, values may repeat. Places that are
/// left over are distractors, values without a key at random places between the pairs, so that no
/// fixed place holds an answer. Of the vocabulary V, ids 0 ... (V - 1) / 2 - 1 are keys, the last
/// id is the marker and those between are values. Targets are the values at the keys that ask. Main
/// metric: recall accuracy; also that at the question whose answer is the fewest and the most
/// tokens away. 100 000 examples to train on, 10 000 each for validation and test, made from their
/// numbers and never stored. Throws Error for pairs that do not fit into the length or outnumber
/// the keys.
std::unique_ptr<Task> make_recall(const TaskOptions& options);

}  // namespace basin::tasks

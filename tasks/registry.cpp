#include <fmt/ranges.h>

#include "tasks/copying/copying.h"
#include "tasks/recall/recall.h"
#include "tasks/task.h"
#include "tasks/text/text.h"
#include "tensor/error.h"

namespace basin::tasks {

const char* name_of(Split split) {
  switch (split) {
    case Split::train: return "train";
    case Split::validation: return "validation";
    case Split::test: return "test";
  }
  return "?";
}

const std::vector<TaskKind>& task_kinds() {
  static const std::vector<TaskKind> kinds = {
      {"copying", "repeat a random sequence from memory after a marker (generated)", false, true,
       128, 64, make_copying},
      {"recall", "give the value of a key from pairs seen before (associative recall; generated)",
       false, true, 25, 33, make_recall, false, true},
      {"text",
       "predict the next byte, character or GPT-2 token of text (--data FILE or FOLDER, plain or "
       ".gz)",
       true, false, 128, 256, make_text, true},
  };
  return kinds;
}

const TaskKind& task_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const TaskKind& kind : task_kinds()) {
    if (kind.name == name) {
      return kind;
    }
    names.push_back(kind.name);
  }
  fail("there is no task '{}'; there are {}", name, fmt::join(names, ", "));
}

std::unique_ptr<Task> make_task(const TaskOptions& options) {
  const TaskKind& kind = task_kind(options.name);
  if (kind.needs_data && options.data.empty()) {
    fail("the task '{}' needs a data file", kind.name);
  }
  if (!kind.needs_data && !options.data.empty()) {
    fail("the task '{}' generates its data and reads no file; got '{}'", kind.name, options.data);
  }
  if (!kind.has_vocabulary && options.vocabulary != 0 &&
      options.vocabulary != kind.default_vocabulary) {
    fail("the vocabulary of the task '{}' follows from its tokenizer (bytes: {}) and cannot be {}",
         kind.name, kind.default_vocabulary, options.vocabulary);
  }
  if (!kind.is_text &&
      (!options.tokenizer.empty() || !options.validation_data.empty() ||
       !options.test_data.empty() || options.stride != 0 || options.eval_stride != 0)) {
    fail("the task '{}' reads no text: it has no tokenizer, no other files and no stride",
         kind.name);
  }
  if (!kind.has_pairs && options.pairs != 0) {
    fail("the task '{}' has no pairs of keys and values; got {}", kind.name, options.pairs);
  }
  TaskOptions filled = options;
  if (filled.length == 0) {
    filled.length = kind.default_length;
  }
  if (filled.vocabulary == 0) {
    filled.vocabulary = kind.default_vocabulary;
  }
  return kind.make(filled);
}

}  // namespace basin::tasks

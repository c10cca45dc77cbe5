#include "tasks/task.h"

#include "tensor/error.h"

namespace basin::tasks {

std::vector<std::int64_t> Task::encode(std::string_view) const {
  fail("[Task] the task '{}' has no text", name());
}

std::string Task::text_of(std::int64_t) const { fail("[Task] the task '{}' has no text", name()); }

}  // namespace basin::tasks

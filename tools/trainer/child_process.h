// Training runs as processes of their own.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace basin::trainer {

/// Starts this program with `words`, reading nothing, the command, its output and errors appended
/// to the file `log`. The child has a process group of its own, so that Ctrl-C reaches this process
/// only, and gets SIGTERM when this process ends, in whatever way. Throws FileError.
pid_t start_trainer(const std::vector<std::string>& words, const std::string& log);

/// How a child ended: an empty string for exit status 0, otherwise in words. Nothing while it runs.
std::optional<std::string> poll_child(pid_t child);

}  // namespace basin::trainer

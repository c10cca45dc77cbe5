// Writing a whole file or nothing.
#pragma once

#include <string>
#include <string_view>

namespace basin::tasks {

/// Writes to `path` + ".partial" and renames: `path` is the old file or the whole new one. Throws
/// FileError naming the path.
void write_file(const std::string& path, std::string_view bytes);

}  // namespace basin::tasks

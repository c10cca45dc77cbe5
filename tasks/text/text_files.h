// The files that a path of text stands for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace basin::tasks {

/// A file stands for itself. A folder stands for every regular file in it and in its subfolders, in
/// the order of the bytes of their paths in the folder; files and folders whose name begins with a
/// dot are left out, and links to folders are not followed. Throws FileError if there is nothing,
/// or a folder cannot be read.
std::vector<std::string> text_files(const std::string& path);

/// The bytes of a file on the disk, 0 if they cannot be told (a pipe).
std::int64_t size_on_disk(const std::string& path);

}  // namespace basin::tasks

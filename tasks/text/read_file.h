// Reading a whole file, compressed or not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace basin::tasks {

/// The bytes of a file; a gzip file is recognised by its content and unpacked. Throws FileError
/// naming the path if it is missing, a folder, unreadable, damaged or empty.
std::vector<std::uint8_t> read_file(const std::string& path);

}  // namespace basin::tasks

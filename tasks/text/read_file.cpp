#include "tasks/text/read_file.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "tensor/error.h"

namespace basin::tasks {

std::vector<std::uint8_t> read_file(const std::string& path) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (!std::filesystem::exists(status)) {
    throw FileError(fmt::format("{}: there is no such file", path));
  }
  if (std::filesystem::is_directory(status)) {
    throw FileError(fmt::format("{} is a folder; a file is needed", path));
  }
  errno = 0;
  // gzopen reads a file that is not gzip as it is.
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) {
    throw FileError(fmt::format("{} cannot be read: {}", path, std::strerror(errno)));
  }
  std::vector<std::uint8_t> bytes;
  constexpr std::size_t piece = 1 << 20;
  while (true) {
    const std::size_t have = bytes.size();
    bytes.resize(have + piece);
    const int read = gzread(file.get(), bytes.data() + have, piece);
    bytes.resize(have + static_cast<std::size_t>(read > 0 ? read : 0));
    if (read <= 0) {
      break;
    }
  }
  int error = Z_OK;
  const char* message = gzerror(file.get(), &error);
  // Z_BUF_ERROR: the file ends in the middle of its compressed data.
  if (error != Z_OK && error != Z_STREAM_END) {
    throw FileError(
        fmt::format("{} is damaged: {}", path, error == Z_ERRNO ? std::strerror(errno) : message));
  }
  if (bytes.empty()) {
    throw FileError(fmt::format("{} is empty", path));
  }
  return bytes;
}

}  // namespace basin::tasks
